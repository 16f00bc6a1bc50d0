"""Time that passes for a database at once, without waiting."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, Connection, Table, type_coerce, update

from tokenstore.store.base import Instant, milliseconds
from tokenstore.store.tables import metadata


def move_back(
    connection: Connection,
    by: timedelta,
    tables: Iterable[Table] = metadata.sorted_tables,
    where: ColumnElement[bool] | None = None,
) -> None:
    """Move every instant in the tables this far into the past; `where`: of these rows alone."""
    for table in tables:
        moved = {
            column.name: type_coerce(type_coerce(column, BigInteger) - milliseconds(by), Instant)
            for column in table.columns
            if isinstance(column.type, Instant)
        }
        if moved:
            statement = update(table).values(moved)
            connection.execute(statement if where is None else statement.where(where))

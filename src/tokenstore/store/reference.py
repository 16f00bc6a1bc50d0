"""The reference implementation's table of refresh tokens, in its own database; only ever read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Float, Integer, LargeBinary, MetaData, Table, Text, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tokenstore.core.importing import ReferenceRow
from tokenstore.errors import StorageUnavailable
from tokenstore.store.engine import lacks_a_table, lacks_something, reason_of

refresh_token = Table(
    "refresh_token",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("provider", Text),
    Column("token", LargeBinary, comment="Fernet"),
    Column("expires_at", Float, comment="seconds since 1970; NULL: no end"),
    Column("user_id", Text, comment="subject at the login provider"),
)


class ReferenceDatabase:
    """The `ReferenceRows` port. Statements are short, so that the reference may go on serving meanwhile.

    Methods raise StorageUnavailable, with `debug` for operators, if the table cannot be read.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def groups(self) -> Sequence[Sequence[int]]:
        """See ReferenceRows.groups; the rows without provider or user come one by one."""
        columns = refresh_token.c
        statement = select(columns.id, columns.provider, columns.user_id).order_by(columns.id)
        with self._reading() as connection:
            found = sorted(connection.execute(statement), key=_owner)
        groups: list[list[int]] = []
        for (provider, user), rows in groupby(found, key=_owner):
            ids = [row.id for row in rows]
            groups += [ids] if provider and user else [[one] for one in ids]
        return groups

    def read(self, ids: Sequence[int]) -> Sequence[ReferenceRow]:
        """See ReferenceRows.read."""
        with self._reading() as connection:
            rows = connection.execute(select(refresh_token).where(refresh_token.c.id.in_(ids))).all()
        return [ReferenceRow(row.id, row.provider, row.user_id, row.token, _instant(row.expires_at)) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StorageUnavailable("The reference's database cannot be read.", debug=_why(error)) from error


def missing_file(url: str) -> str | None:
    """The SQLite file that a URL names and that is not there: opening it would make an empty one."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).is_file():
        return None
    return parsed.database


def _why(error: SQLAlchemyError) -> str:
    """What is wrong, without the URL or anything of a row."""
    if not lacks_something(error):
        reason = reason_of(error)
        return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    names = ", ".join(column.name for column in refresh_token.c)
    lacks = f"there is no table {refresh_token.name}, so it is not the reference's"
    return lacks if lacks_a_table(error) else f"its table {refresh_token.name} lacks one of {names}"


def _owner(row: Any) -> tuple[str, str]:
    return row.provider or "", row.user_id or ""


def _instant(seconds: float | None) -> datetime | None:
    try:
        # Zero is how the reference wrote "no end" elsewhere; nothing it keeps ended in 1970.
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None

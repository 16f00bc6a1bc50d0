"""The way of the reads that requests make all the time: compiled once by SQLAlchemy, run on a driver's connection.

Running a statement through SQLAlchemy costs several times what the drivers need. The SQL, the types and the making of
connections stay SQLAlchemy's; what is read is the business of whoever has a `HotRead`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select
from sqlalchemy.types import TypeEngine

from tokenstore.store.engine import Database
from tokenstore.store.hot_connections import Row

_PARAMSTYLES: dict[str, Any] = {"sqlite": "qmark", "postgresql": "numeric_dollar"}

_log = logging.getLogger(__name__)


class HotRead:
    """A SELECT of few rows, compiled once for many readings; safe to share between threads."""

    def __init__(self, database: Database, statement: Select[*tuple[Any, ...]]) -> None:
        self._database = database
        self._statement = statement
        dialect = database.dialect
        dialect_class: Any = type(dialect)
        compiled = statement.compile(dialect=dialect_class(paramstyle=_PARAMSTYLES[dialect.name]))
        self._sql = str(compiled)
        self._names = compiled.positiontup or []
        binders = {name: _kind(bind, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        asked = {name for name, bind in compiled.binds.items() if bind.required}
        self._binders = {name: binder for name, binder in binders.items() if binder and name in asked}
        self._constants = {
            name: value if (binder := binders[name]) is None else binder(value)
            for name, value in compiled.params.items()
            if name not in asked
        }
        readers = [_kind(column, dialect).result_processor(dialect, None) for column in statement.selected_columns]
        self._readers = [(index, reader) for index, reader in enumerate(readers) if reader]

    def first(self, wanted: dict[str, Any]) -> Row | None:
        """The first row, read with these parameters, None if there is none. Raises StorageUnavailable."""
        rows = self.all(wanted)
        return rows[0] if rows else None

    def all(self, wanted: dict[str, Any]) -> Sequence[Row]:
        """The rows, read with these parameters. Raises StorageUnavailable."""
        given = self._constants | wanted
        for name, binder in self._binders.items():
            given[name] = binder(given[name])
        try:
            found = self._database.hot.rows(self._sql, [given[name] for name in self._names])
        except self._database.driver_error as error:
            # The server may have ended the connection, a migration may have changed the columns of a prepared
            # statement: reading again is harmless, and a real trouble gets its right name there.
            _log.warning("a read is repeated", extra={"because": type(error).__name__})
            with self._database.reading() as connection:
                return connection.execute(self._statement, wanted).all()
        return [self._read(row) for row in found]

    def _read(self, found: Row) -> Row:
        row = list(found)
        for index, reader in self._readers:
            if row[index] is not None:
                row[index] = reader(row[index])
        return row


def _kind(of: ColumnElement[Any], dialect: Dialect) -> TypeEngine[Any]:
    return of.type.dialect_impl(dialect)

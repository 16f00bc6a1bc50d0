"""The way of the read behind every hand-out: compiled once by SQLAlchemy, run on a driver's connection kept for it.

Running a statement through SQLAlchemy costs several times what the drivers need, and so do the pool's way out and back
compared with a list's. The SQL, the types and the making of connections stay SQLAlchemy's; what is read is `reading`'s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.types import TypeEngine

from tokenstore.store.engine import Database

KEPT = 8
"""Idle connections kept in a process; more reads at the same time open and close their own."""

IDLE_SECONDS = 300.0
"""A kept connection that was idle for longer may be dead on the way, and is closed instead of used."""

Row = Sequence[Any]
Run = Callable[[str, Sequence[Any]], Row | None]
"""Runs a statement with positional values on one connection; its first row."""

_PARAMSTYLES: dict[str, Any] = {"sqlite": "qmark", "postgresql": "numeric_dollar"}

_log = logging.getLogger(__name__)


class HotReads:
    """The connections that hot reads share: each is used by one reader at a time, and closed when it fails."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.database = database
        self._monotonic = monotonic
        self._open = _on_sqlite if database.dialect.name == "sqlite" else _on_postgresql
        self._idle: list[tuple[DBAPIConnection, Run, float]] = []
        database.on_dispose(self._close)

    def first(self, sql: str, values: Sequence[Any]) -> Row | None:
        """The first row. Raises the driver's own errors, or StorageUnavailable if there is no connection."""
        connection, run = self._take()
        try:
            row = run(sql, values)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < KEPT:
            self._idle.append((connection, run, self._monotonic()))
        else:
            connection.close()
        return row

    def _take(self) -> tuple[DBAPIConnection, Run]:
        while self._idle:
            try:
                connection, run, since = self._idle.pop()  # pop and append are atomic, no lock is needed
            except IndexError:
                break  # another reader was faster
            if self._monotonic() - since <= IDLE_SECONDS:
                return connection, run
            connection.close()
        connection = self.database.detached()
        return connection, self._open(connection)

    def _close(self) -> None:
        while self._idle:
            self._idle.pop()[0].close()


class HotRead:
    """A SELECT of at most one row, compiled once for many readings; safe to share between threads."""

    def __init__(self, reads: HotReads, statement: Select[*tuple[Any, ...]]) -> None:
        self._reads = reads
        self._statement = statement
        dialect = reads.database.dialect
        dialect_class: Any = type(dialect)
        compiled = statement.compile(dialect=dialect_class(paramstyle=_PARAMSTYLES[dialect.name]))
        self._sql = str(compiled)
        self._names = compiled.positiontup or []
        self._constants = compiled.params
        binders = {name: _kind(bind, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        self._binders = {name: binder for name, binder in binders.items() if binder}
        readers = [_kind(column, dialect).result_processor(dialect, None) for column in statement.selected_columns]
        self._readers = {index: reader for index, reader in enumerate(readers) if reader}

    def first(self, wanted: dict[str, Any]) -> Row | None:
        """The row, read with these parameters, None if there is none. Raises StorageUnavailable."""
        given = self._constants | wanted
        for name, binder in self._binders.items():
            given[name] = binder(given[name])
        try:
            found = self._reads.first(self._sql, [given[name] for name in self._names])
        except self._reads.database.driver_error as error:
            # The server may have ended the connection, a migration may have changed the columns of a prepared
            # statement: reading again is harmless, and a real trouble gets its right name there.
            _log.warning("a read is repeated", extra={"because": type(error).__name__})
            with self._reads.database.reading() as connection:
                return connection.execute(self._statement, wanted).first()
        if found is None:
            return None
        row = list(found)
        for index, reader in self._readers.items():
            if row[index] is not None:
                row[index] = reader(row[index])
        return row


def _kind(of: ColumnElement[Any], dialect: Dialect) -> TypeEngine[Any]:
    return of.type.dialect_impl(dialect)


def _on_sqlite(connection: Any) -> Run:
    def run(sql: str, values: Sequence[Any]) -> Row | None:
        # All rows, since a statement that is not read to its end stays open and keeps what it saw.
        rows: list[Row] = connection.execute(sql, values).fetchall()
        return rows[0] if rows else None

    return run


def _on_postgresql(connection: Any) -> Run:
    from tokenstore.store.hot_postgresql import PostgresRunner  # here, as psycopg is an extra

    return PostgresRunner(connection)

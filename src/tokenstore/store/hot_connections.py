"""The drivers' connections that hot reads share: kept in a list, since the pool's way out and back costs several times
what a read needs. How one is opened and set up stays the engine's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine.interfaces import DBAPIConnection

KEPT = 8
"""Idle connections kept in a process; more reads at the same time open and close their own."""

IDLE_SECONDS = 300.0
"""A kept connection that was idle for longer may be dead on the way, and is closed instead of used."""

Row = Sequence[Any]
Run = Callable[[str, Sequence[Any]], Sequence[Row]]
"""Runs a statement with positional values on one connection; its rows."""


class HotConnections:
    """Each is used by one reader at a time, and closed when it fails. `make` opens one; thread-safe."""

    def __init__(
        self, make: Callable[[], DBAPIConnection], dialect: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._runner = _on_sqlite if dialect == "sqlite" else _on_postgresql
        self._monotonic = monotonic
        self._idle: list[tuple[DBAPIConnection, Run, float]] = []
        self._closings = 0

    def rows(self, sql: str, values: Sequence[Any]) -> Sequence[Row]:
        """The rows. Raises the driver's own errors, or StorageUnavailable if there is no connection."""
        closings = self._closings
        connection, run = self._take()
        try:
            found = run(sql, values)
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < KEPT and self._closings == closings:
            self._idle.append((connection, run, self._monotonic()))
        else:
            connection.close()
        return found

    def close(self) -> None:
        """Close those that nobody uses, and the others when their reader is done."""
        self._closings += 1
        while self._idle:
            self._idle.pop()[0].close()

    def _take(self) -> tuple[DBAPIConnection, Run]:
        while self._idle:
            try:
                connection, run, since = self._idle.pop()  # pop and append are atomic, no lock is needed
            except IndexError:
                break  # another reader was faster
            if self._monotonic() - since <= IDLE_SECONDS:
                return connection, run
            connection.close()
        connection = self._make()
        return connection, self._runner(connection)


def _on_sqlite(connection: Any) -> Run:
    def run(sql: str, values: Sequence[Any]) -> Sequence[Row]:
        # To the end, as a statement that is not read to its end stays open and keeps what it saw.
        rows: list[Row] = connection.execute(sql, values).fetchall()
        return rows

    return run


def _on_postgresql(connection: Any) -> Run:
    from tokenstore.store.hot_postgresql import PostgresRunner  # here, as psycopg is an extra

    return PostgresRunner(connection)

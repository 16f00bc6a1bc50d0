"""The databases of the batteries: SQLite files, and PostgreSQL from one server that starts when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from support.postgres import PostgresServer, running_postgres

Kind = Literal["SQLite", "PostgreSQL"]
KINDS: tuple[Kind, ...] = ("SQLite", "PostgreSQL")


class Databases:
    """Empty databases by kind."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._server: PostgresServer | None = None

    @contextmanager
    def empty(self, kind: Kind, home: Path) -> Iterator[str]:
        """The URL of an empty database, gone afterwards."""
        if kind == "SQLite":
            yield f"sqlite:///{home / 'store.sqlite'}"
            return
        if self._server is None:
            self._server = self._running.enter_context(running_postgres())
        with self._server.database() as url:
            yield url

    @contextmanager
    def server(self) -> Iterator[PostgresServer]:
        """A PostgreSQL of its own, which may be mistreated."""
        with running_postgres() as server:
            yield server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

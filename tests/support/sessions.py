"""The table of browser sessions on SQLite, with time that tests can let pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, create_engine, func, select, text

from tokenstore.identity.session_rows import SessionRows
from tokenstore.store.base import milliseconds
from tokenstore.store.engine import Database, prepare_engine
from tokenstore.store.tables import session as table

IDLE = timedelta(hours=8)
LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SessionTable:
    """The table, what the product makes of it, and doors for tests."""

    engine: Engine
    rows: SessionRows

    @classmethod
    def at(cls, url: str) -> SessionTable:
        """The table, made anew in the empty database at this URL."""
        engine = prepare_engine(create_engine(url))
        table.create(engine)
        return cls(engine, SessionRows(Database(engine), idle=IDLE, lifetime=LIFETIME))

    def count(self) -> int:
        """How many rows there are."""
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0

    def sealed(self) -> bytes:
        """The content of the only row."""
        with self.engine.connect() as connection:
            content: bytes = connection.execute(select(table.c.sealed)).scalar_one()
            return content

    def ids(self) -> list[str]:
        """The stored ids."""
        with self.engine.connect() as connection:
            return list(connection.scalars(select(table.c.id)))

    def plant(self, content: bytes) -> None:
        """Write content into every row, as one with write access to the database might."""
        with self.engine.begin() as connection:
            connection.execute(table.update().values(sealed=content))

    def let_pass(self, time: timedelta) -> None:
        """Make every session older by this much."""
        shift = text("UPDATE session SET created_at = created_at - :by, expires_at = expires_at - :by")
        with self.engine.begin() as connection:
            connection.execute(shift, {"by": milliseconds(time)})

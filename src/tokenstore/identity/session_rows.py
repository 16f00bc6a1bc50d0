"""The table of browser sessions.

Each method is one statement or short transaction of its own; nothing is shared with other stores.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from tokenstore.identity.session_store import SessionRow, can_be_prolonged
from tokenstore.store.base import db_now, from_now, next_end
from tokenstore.store.engine import Database
from tokenstore.store.hot_read import HotRead
from tokenstore.store.tables import session as table

_PURGED_AT_ONCE = 100

_READ = select(table.c.sealed, table.c.created_at, table.c.expires_at, db_now()).where(table.c.id == bindparam("id"))


class SessionRows:
    """`SessionStore` in the database, by its clock: ends `idle` after the last use and `lifetime` after the first."""

    def __init__(self, database: Database, *, idle: timedelta, lifetime: timedelta) -> None:
        self._database = database
        self._read = HotRead(database, _READ)
        self._idle = idle
        self._lifetime = lifetime

    def read(self, row_id: str) -> SessionRow | None:
        """The session of this id unless it has ended."""
        found = self._read.first({"id": row_id})
        if found is None:
            return None
        row = SessionRow(*found)
        return None if row.now >= min(row.expires_at, row.created_at + self._lifetime) else row

    def insert(self, row_id: str, sealed: bytes) -> None:
        """Keep a new session; removes some that have ended, so that the table stays small by itself."""
        ends = from_now(min(self._idle, self._lifetime))
        ended = select(table.c.id).where(table.c.expires_at <= db_now()).limit(_PURGED_AT_ONCE)
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.id.in_(ended)))
            connection.execute(insert(table).values(id=row_id, sealed=sealed, created_at=db_now(), expires_at=ends))

    def update(self, row_id: str, sealed: bytes) -> None:
        """Replace the content and count as used. A session that is gone stays gone: a log-out elsewhere wins."""
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(table.c.id == row_id).values(sealed=sealed, expires_at=self._next_end())
            )

    def touch(self, row_id: str) -> None:
        """Count as used."""
        with self._database.writing() as connection:
            connection.execute(update(table).where(table.c.id == row_id).values(expires_at=self._next_end()))

    def delete(self, row_id: str) -> None:
        """End the session."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.id == row_id))

    def can_be_prolonged(self, row: SessionRow, pause: timedelta) -> bool:
        """See the port."""
        return can_be_prolonged(row, pause, idle=self._idle, lifetime=self._lifetime)

    def _next_end(self) -> ColumnElement[datetime]:
        return next_end(table.c.created_at, idle=self._idle, lifetime=self._lifetime)

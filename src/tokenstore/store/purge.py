"""Removing what has had its time, some rows at once.

Each kind is looked for by a read, so that nobody waits for a long look, and removed by the ids found, if it still is
what was looked for. What is still to be given back to a provider is not here: see `waiting` and `outbox`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Table, Update, and_, delete, exists, or_, select, tuple_, update

from tokenstore.core.model import LinkState
from tokenstore.core.ports import Perished
from tokenstore.store.attempts import KEPT_AFTER_EXPIRY
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.patience import LOOK_SECONDS, unhurried
from tokenstore.store.tables import access_token, link, link_attempt, login, logout_notice, outbox, session

BROKEN_FOR = timedelta(hours=24)
"""How long the refresh token of a broken link is kept, in case the provider takes its word back."""

ACCESS_AFTER_END = timedelta(days=1)
"""How long an access token that ended is kept; a refresh replaces it where it is asked for."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of a table that meet a condition, and the statement without its WHERE that removes them."""

    table: Table
    over: ColumnElement[bool]
    removal: Delete | Update


def _deleted(table: Table, over: ColumnElement[bool]) -> _Kind:
    return _Kind(table, over, delete(table))


def _erased(over: ColumnElement[bool], *columns: str) -> _Kind:
    return _Kind(link, over, update(link).values(dict.fromkeys(columns)))


_idle = or_(link.c.lease_until.is_(None), link.c.lease_until < db_now())
_owing = exists().where(outbox.c.link_id == link.c.id)
_of_refreshable = access_token.c.link_id.in_(select(link.c.id).where(link.c.refresh_sealed.is_not(None)))

_KINDS: Mapping[Perished, _Kind] = {
    Perished.ATTEMPTS: _deleted(link_attempt, link_attempt.c.expires_at < from_now(-KEPT_AFTER_EXPIRY)),
    Perished.LOGINS: _deleted(login, login.c.expires_at <= db_now()),
    Perished.NOTICES: _deleted(logout_notice, logout_notice.c.expires_at <= db_now()),
    Perished.SESSIONS: _deleted(session, session.c.expires_at <= db_now()),
    Perished.TOMBSTONES: _deleted(
        link,
        # Those of an earlier version have no time. What is owed for the link is found by it if it is linked again.
        and_(link.c.state == LinkState.REVOKED, or_(link.c.due_at.is_(None), link.c.due_at <= db_now()), ~_owing),
    ),
    Perished.BROKEN: _erased(
        and_(
            link.c.state == LinkState.BROKEN,
            link.c.refresh_sealed.is_not(None),
            link.c.last_error_at <= from_now(-BROKEN_FOR),
        ),
        *("refresh_sealed", "refresh_expires_at", "prev_sealed", "prev_until", "due_at"),
    ),
    Perished.PREVIOUS: _erased(and_(link.c.prev_until <= db_now(), _idle), "prev_sealed", "prev_until"),
    # One without a refresh token is the only thing its link has, and tells when it ended.
    Perished.ACCESS: _deleted(
        access_token, and_(access_token.c.expires_at <= from_now(-ACCESS_AFTER_END), _of_refreshable)
    ),
}


class SqlPurge:
    """The `Perishables` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def purge(self, what: Perished, limit: int) -> int:
        """See the port."""
        with unhurried(LOOK_SECONDS):
            return self._purge(what, limit)

    def _purge(self, what: Perished, limit: int) -> int:
        kind = _KINDS[what]
        key = list(kind.table.primary_key.columns)
        with self._database.reading() as connection:
            found: list[Any] = [tuple(row) for row in connection.execute(select(*key).where(kind.over).limit(limit))]
        if not found:
            return 0
        # Locked without waiting, so that it cannot be part of a deadlock; what is locked goes next time.
        still = select(*key).where(tuple_(*key).in_(found), kind.over).with_for_update(skip_locked=True, of=kind.table)
        chosen = still.cte("chosen")
        gone = kind.removal.where(tuple_(*key).in_(select(*(chosen.c[column.name] for column in key))))
        with self._database.writing() as connection:
            # Not by the row count: SQLite's driver does not know it after a WITH.
            return len(connection.execute(gone.returning(*key)).all())

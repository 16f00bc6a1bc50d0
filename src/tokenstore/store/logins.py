"""Logins: which browsers are logged in as whom. What a browser's session holds is kept elsewhere, and means nothing
without its row here: deleting the row is what ends a login, at once and wherever sessions are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, false, insert, or_, select, update

from tokenstore.core.model import AuditEvent, Identity, Login, LogoutNotice, UserId
from tokenstore.errors import PolicyDenied
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now, from_now, next_end
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.hot_read import HotRead
from tokenstore.store.tables import login, logout_notice, user_account
from tokenstore.store.users import lock_user

SEEN_EVERY = timedelta(minutes=1)
"""By how much the time a login was last seen may lag behind, so that looking at a page rarely writes."""

_PURGED_AT_ONCE = 100


class SqlLoginStore:
    """The `LoginStore` port. A login ends `idle` after it was last seen and `lifetime` after it began."""

    def __init__(self, database: Database, *, idle: timedelta, lifetime: timedelta) -> None:
        self._database = database
        self._idle = idle
        self._lifetime = lifetime
        user = user_account.c
        this = (login.c.id == bindparam("id"), user.disabled_at.is_(None))
        self._holder = HotRead(database, _live(user.issuer, user.subject, login.c.seen_at, db_now()).where(*this))

    def begin(self, user: Identity, sid: str | None, agent: str | None) -> UUID:
        """Keep a new login; removes some that are over, so that the table stays small by itself."""
        login_id = uuid4()
        over = select(login.c.id).where(login.c.expires_at <= db_now()).limit(_PURGED_AT_ONCE)
        with self._database.writing() as connection:
            user_id = lock_user(connection, user)
            if user_id is None:
                raise PolicyDenied("This user is disabled. Ask the operator.")
            connection.execute(delete(login).where(login.c.id.in_(over)))
            connection.execute(
                insert(login).values(
                    id=login_id,
                    user_id=user_id,
                    sid=sid,
                    agent=agent,
                    created_at=db_now(),
                    seen_at=db_now(),
                    expires_at=from_now(min(self._idle, self._lifetime)),
                )
            )
        return login_id

    def holder(self, login_id: UUID) -> Identity | None:
        """One read; a write too if the login was not seen for a minute."""
        row = self._holder.first({"id": login_id})
        if row is None:
            return None
        issuer, subject, seen_at, now = row
        if now - seen_at >= SEEN_EVERY:
            with self._database.writing() as connection:
                ends = next_end(login.c.created_at, idle=self._idle, lifetime=self._lifetime)
                seen = {"seen_at": db_now(), "expires_at": ends}
                connection.execute(update(login).where(login.c.id == login_id).values(seen))
        return Identity(issuer, subject)

    def logins(self, user: Identity) -> Sequence[Login]:
        """The logins of a user that are not over."""
        columns = login.c
        statement = _live(columns.id, columns.agent, columns.created_at, columns.seen_at, columns.expires_at)
        with self._database.reading() as connection:
            rows = connection.execute(statement.where(*_is(user)).order_by(columns.seen_at.desc(), columns.id)).all()
        return [Login(*row) for row in rows]

    def end(self, user: Identity, login_id: UUID | None, event: AuditEvent) -> int:
        """End one login, or all, in one transaction with the event."""
        with self._database.writing() as connection:
            wanted = [login.c.user_id.in_(select(user_account.c.id).where(*_is(user))), login.c.expires_at > db_now()]
            if login_id is not None:
                wanted.append(login.c.id == login_id)
            ended = connection.execute(delete(login).where(*wanted)).rowcount
            if ended:
                insert_event(connection, event)
        return ended

    def end_by_notice(self, notice: LogoutNotice, keep: timedelta, event: AuditEvent) -> int | None:
        """Remember the notice and end what it names, in one transaction; one event per user concerned."""
        digest = hashlib.sha256(f"{notice.issuer}\n{notice.id}".encode()).digest()
        with self._database.writing() as connection:
            connection.execute(delete(logout_notice).where(logout_notice.c.expires_at <= db_now()))
            heard = insert_into(connection, logout_notice).values(id=digest, expires_at=from_now(keep))
            # Not by the row count: PostgreSQL's driver does not know it here.
            if connection.execute(heard.on_conflict_do_nothing().returning(logout_notice.c.id)).first() is None:
                return None
            concerned = [user_account.c.issuer == notice.issuer]
            if notice.subject is not None:
                concerned.append(user_account.c.subject == notice.subject)
            if notice.sid is not None:
                # A login kept without a session id is ended, too, where the user is named: it may be the one.
                unknown = login.c.sid.is_(None) if notice.subject is not None else false()
                concerned.append(or_(login.c.sid == notice.sid, unknown))
            found = connection.execute(_live(login.c.id, user_account.c.subject).where(*concerned)).all()
            connection.execute(delete(login).where(login.c.id.in_([row.id for row in found])))
            for subject in sorted({row.subject for row in found}):
                insert_event(connection, replace(event, user=Identity(notice.issuer, subject)))
        return len(found)


def end_logins(connection: Connection, user_id: UserId) -> int:
    """End all logins of a user in the transaction under way; how many there were."""
    return connection.execute(delete(login).where(login.c.user_id == user_id)).rowcount


def _live(*columns: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """The logins that are not over, with their users."""
    joined = login.join(user_account, login.c.user_id == user_account.c.id)
    return select(*columns).select_from(joined).where(login.c.expires_at > db_now())


def _is(user: Identity) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return user_account.c.issuer == user.issuer, user_account.c.subject == user.subject

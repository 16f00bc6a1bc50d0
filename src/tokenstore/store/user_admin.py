"""People as operators see them: who there is, and who may use the store no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update

from tokenstore.core.model import AuditEvent, Identity, LinkState, UserId
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.logins import end_logins
from tokenstore.store.tables import link, user_account


@dataclass(frozen=True, slots=True)
class UserEntry:
    """A user in a list; `links` counts those that are not revoked."""

    identity: Identity
    name: str | None
    email: str | None
    created_at: datetime
    disabled_at: datetime | None
    links: int


class UserAdmin:
    """Lists, disables and enables users. All methods raise StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def users(self) -> Sequence[UserEntry]:
        """Everybody, in the order of their coming."""
        user = user_account.c
        mine = (link.c.user_id == user.id, link.c.state != LinkState.REVOKED.value)
        links = select(func.count()).select_from(link).where(*mine).scalar_subquery()
        statement = select(
            user.issuer, user.subject, user.name, user.email, user.created_at, user.disabled_at, links
        ).order_by(user.created_at, user.id)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [UserEntry(Identity(issuer, subject), *rest) for issuer, subject, *rest in rows]

    def issuers_of(self, subject: str) -> Sequence[str]:
        """The issuers at which a user of this subject is known."""
        statement = select(user_account.c.issuer).where(user_account.c.subject == subject)
        with self._database.reading() as connection:
            return list(connection.scalars(statement.order_by(user_account.c.issuer)))

    def disable(self, identity: Identity) -> bool:
        """From now on nothing is handed out to the user and all logins are over; links stay. False: nothing changed."""
        with self._database.writing() as connection:
            user_id = connection.scalar(_changed(identity, disable=True))
            if user_id is None:
                return False
            end_logins(connection, UserId(user_id))
            insert_event(connection, AuditEvent("user.disabled", "success", user=identity))
        return True

    def enable(self, identity: Identity) -> bool:
        """The user may come back. False: nothing changed."""
        with self._database.writing() as connection:
            if connection.scalar(_changed(identity, disable=False)) is None:
                return False
            insert_event(connection, AuditEvent("user.enabled", "success", user=identity))
        return True

    def disabled(self) -> frozenset[Identity]:
        """Everybody who is disabled."""
        user = user_account.c
        statement: Select[*tuple[Any, ...]] = select(user.issuer, user.subject).where(user.disabled_at.is_not(None))
        with self._database.reading() as connection:
            return frozenset(Identity(issuer, subject) for issuer, subject in connection.execute(statement))


def _changed(identity: Identity, *, disable: bool) -> Any:
    user = user_account.c
    found = (user.issuer == identity.issuer, user.subject == identity.subject)
    present = user.disabled_at.is_(None) if disable else user.disabled_at.is_not(None)
    changed = update(user_account).where(*found, present).values(disabled_at=db_now() if disable else None)
    return changed.returning(user.id)

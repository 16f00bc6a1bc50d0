"""Tokens that wait for a person's word: sealed, found by id, user and browser session."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, select, update

from tokenstore.core.model import AuditEvent, Identity, ProviderId, UserId
from tokenstore.core.ports import Debt, Waiting
from tokenstore.errors import KeyUnavailable, PolicyDenied
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.outbox import may_share_grant, queue_stray
from tokenstore.store.owed import is_held
from tokenstore.store.tables import link_waiting, user_account
from tokenstore.store.users import lock_user
from tokenstore.store.waiting_texts import pack, unpack
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Label, Vault

_columns = link_waiting.c
_READ = (
    *(_columns.id, _columns.user_id, _columns.provider_id, _columns.client_id),
    *(_columns.sealed, _columns.created_at, _columns.expires_at, db_now()),
)
_MOST_STALE = 2
"""Rows that one call takes, so that no transaction is long."""

_log = logging.getLogger(__name__)


class SqlWaitingStore:
    """The `WaitingStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def save(self, waiting: Waiting, session_key: str, patience: timedelta, event: AuditEvent) -> None:
        """Keep it for this browser session and this long. Row and event are one transaction."""
        self._vault.ready()
        with self._database.writing() as connection:
            user_id = lock_user(connection, waiting.user)
            if user_id is None:
                raise PolicyDenied("This user may not link accounts.")
            context = _context(waiting.id, user_id, waiting.provider_id, waiting.client_id)
            connection.execute(
                insert(link_waiting).values(
                    id=waiting.id,
                    user_id=user_id,
                    session_hash=self._hash(session_key),
                    provider_id=waiting.provider_id,
                    client_id=waiting.client_id,
                    sealed=self._vault.seal(pack(waiting), context),
                    created_at=db_now(),
                    expires_at=from_now(patience),
                )
            )
            insert_event(connection, event)

    def find(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """What waits there for this user in this session, or waited in vain. Raises KeyUnavailable."""
        statement = select(*_READ).where(self._theirs(waiting_id, user, session_key))
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._opened(row)

    def give_up(self, waiting_id: UUID, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt] | None:
        """See the port."""
        return self._give_up([waiting_id], apart, event)

    def give_up_before(self, waiting: Waiting, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        """See the port."""
        theirs = and_(_columns.provider_id == waiting.provider_id, _columns.user_id.in_(_id_of(waiting.user)))
        return self._give_up_all(select(_columns.id).where(theirs, _columns.id != waiting.id), apart, event)

    def give_up_stale(self, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        """See the port."""
        stale = select(_columns.id).where(_columns.expires_at <= db_now())
        return self._give_up_all(stale.order_by(_columns.expires_at).limit(_MOST_STALE), apart, event)

    def _give_up_all(self, which: Select[UUID], apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        with self._database.reading() as connection:
            chosen = list(connection.scalars(which))
        return (self._give_up(chosen, apart, event) or []) if chosen else []

    def _give_up(
        self, chosen: Sequence[UUID], apart: Collection[ProviderId], event: AuditEvent
    ) -> Sequence[Debt] | None:
        """Remove what there is of these and queue what is owed, in one transaction; None: there is nothing."""
        self._vault.ready()
        person = user_account.c
        owners = select(person.id, person.issuer, person.subject).where(
            person.id.in_(select(_columns.user_id).where(_columns.id.in_(chosen)))
        )
        with self._database.writing() as connection:
            # Under the locks of the users' rows, like linking, and in one order.
            locked = connection.execute(owners.order_by(person.id).with_for_update(key_share=True))
            people = {user_id: Identity(issuer, subject) for user_id, issuer, subject in locked}
            rows = connection.execute(delete(link_waiting).where(_columns.id.in_(chosen)).returning(*_READ)).all()
            owed = [self._queue(connection, row, apart) for row in rows]
            for row in rows:
                insert_event(connection, replace(event, user=people[row.user_id], provider_id=row.provider_id))
        return [debt for debt in owed if debt is not None] if rows else None

    def _queue(self, connection: Connection, row: Row[*tuple[Any, ...]], apart: Collection[ProviderId]) -> Debt | None:
        """Queue the token of a removed row, if it can be opened and no link may rest on its grant."""
        try:
            waiting = self._opened(row)
        except KeyUnavailable:
            _log.warning("tokens that waited cannot be opened and are lost", extra={"provider": row.provider_id})
            return None
        owed = waiting.tokens.refresh_token or waiting.tokens.access_token
        at = (waiting.provider_id, waiting.client_id, row.user_id)
        if waiting.provider_id in apart:
            needed = is_held(connection, self._vault, *at, owed)
        else:
            needed = may_share_grant(connection, *at, waiting.account)
        if needed:
            _log.info("tokens that waited are let go: a link may rest on them", extra={"provider": waiting.provider_id})
            return None
        return Debt(queue_stray(connection, self._vault, *at, owed), waiting.provider_id)

    def _theirs(self, waiting_id: UUID, user: Identity, session_key: str) -> ColumnElement[bool]:
        return and_(
            _columns.id == waiting_id,
            _columns.user_id.in_(_id_of(user)),
            _columns.session_hash == self._hash(session_key),
        )

    def _opened(self, row: Any) -> Waiting:
        waiting_id, user_id, provider_id, client_id, sealed, created_at, expires_at, now = row
        packed = self._vault.open(sealed, _context(waiting_id, user_id, provider_id, client_id))
        waiting = unpack(packed, waiting_id, ProviderId(provider_id), client_id, now - created_at)
        return replace(waiting, over=expires_at <= now)

    def _hash(self, session_key: str) -> bytes:
        return self._vault.lookup(Label.LOOKUP, session_key)


def end_waiting(connection: Connection, waiting_id: UUID, user_id: UserId) -> bool:
    """Remove what waits for this user, in the transaction that finds a place for it; False if there is no such."""
    in_time = and_(_columns.id == waiting_id, _columns.user_id == user_id, _columns.expires_at > db_now())
    return connection.execute(delete(link_waiting).where(in_time).returning(_columns.id)).first() is not None


def reseal_waiting(
    connection: Connection, vault: Vault, waiting_id: UUID, old: ProviderId, new: ProviderId, *, dry_run: bool
) -> bool:
    """Give what waits to another provider; False if it is gone. Raises KeyUnavailable."""
    wanted = select(_columns.user_id, _columns.client_id, _columns.sealed)
    mine = and_(_columns.id == waiting_id, _columns.provider_id == old)
    row = connection.execute(wanted.where(mine).with_for_update()).first()
    if row is None:
        return False
    packed = vault.open(row.sealed, _context(waiting_id, row.user_id, old, row.client_id))
    if not dry_run:
        sealed = vault.seal(packed, _context(waiting_id, row.user_id, new, row.client_id))
        connection.execute(update(link_waiting).where(mine).values(provider_id=new, sealed=sealed))
    return True


def _id_of(user: Identity) -> Any:
    person = user_account.c
    return select(person.id).where(person.issuer == user.issuer, person.subject == user.subject)


def _context(waiting_id: UUID, user_id: UserId, provider_id: ProviderId, client_id: str) -> Context:
    return Context(link_waiting.name, Kind.WAITING, waiting_id, user_id, provider_id, client_id)

"""Tokens owed to providers for revocation: queued in the transaction that gave them up, claimed one by one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, or_, select, update

from tokenstore.core.model import (
    Account,
    AuditEvent,
    Identity,
    Link,
    LinkId,
    LinkState,
    Provider,
    ProviderId,
    UserId,
)
from tokenstore.core.ports import OutboxDepth, PendingRevocation
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.owed import is_held
from tokenstore.store.tables import link as link_table
from tokenstore.store.tables import link_waiting, outbox, user_account
from tokenstore.store.users import lock_user
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

GIVE_UP_AFTER = timedelta(days=7)

OF_LINK = "revoke"
"""Kind of the rows with a token of a link, whether or not the link's row is still there."""

STRAY = "stray"
"""Kind of the rows with a token that was received and never stored in a link."""

UNOPENED_FOR = timedelta(hours=1)
"""How long a row is put off that cannot be opened."""

_PENDING = (
    *(outbox.c.id, outbox.c.user_id, outbox.c.provider_id, outbox.c.client_id),
    *(outbox.c.sealed, outbox.c.attempts),
)
_FREE = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < db_now())

_log = logging.getLogger(__name__)


class SqlOutbox:
    """The `Outbox` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def queue_revocation(
        self, provider: Provider, user: Identity, token: Secret, account: Account | None = None
    ) -> UUID | None:
        """See the port. It happens under the lock of the user's row, like linking."""
        self._vault.ready()
        person = user_account.c
        known = select(person.id).where(person.issuer == user.issuer, person.subject == user.subject)
        with self._database.writing() as connection:
            user_id = connection.execute(known.with_for_update(key_share=True)).scalar_one_or_none()
            at = (provider.id, provider.client_id, user_id)
            # Seen is what was committed by now, be it by a linking that was told that its commit failed.
            if provider.revokes_grant:
                needed = may_share_grant(connection, *at, account)
            else:
                needed = is_held(connection, self._vault, *at, token)
            return None if needed else queue_stray(connection, self._vault, *at, token)

    def hold(self, provider: Provider, user: Identity, length: timedelta) -> timedelta | None:
        """See the port. It happens under the lock of the user's row, like linking."""
        columns = outbox.c
        with self._database.writing() as connection:
            user_id = lock_user(connection, user)
            if user_id is None:
                return None
            owed = and_(
                columns.user_id == user_id,
                columns.provider_id == provider.id,
                columns.client_id == provider.client_id,
            )
            early = and_(owed, columns.next_try_at < from_now(length), _FREE)
            connection.execute(update(outbox).where(early).values(next_try_at=from_now(length)))
            claimed = select(func.max(columns.lease_until), db_now()).where(owed, ~_FREE)
            until, now = connection.execute(claimed).one()
        return None if until is None else max(timedelta(), until - now)

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """See the port. Raises KeyUnavailable."""
        columns = outbox.c
        due = and_(columns.id == outbox_id, columns.next_try_at <= db_now(), _FREE)
        statement = update(outbox).where(due).values(lease_until=from_now(length)).returning(*_PENDING)
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._opened(row)

    def claim_due(
        self, limit: int, length: timedelta, apart: Collection[ProviderId] = ()
    ) -> Sequence[PendingRevocation]:
        """See the port. Raises KeyUnavailable where nothing could be opened."""
        self._vault.ready()
        columns = outbox.c
        due = select(columns.id).where(columns.next_try_at <= db_now(), _FREE, columns.provider_id.not_in(apart))
        chosen = due.order_by(columns.next_try_at).limit(limit).with_for_update(skip_locked=True).cte("chosen")
        claim = update(outbox).where(columns.id.in_(select(chosen.c.id))).values(lease_until=from_now(length))
        with self._database.writing() as connection:
            rows = connection.execute(claim.returning(*_PENDING)).all()
        claimed = []
        for row in rows:
            try:
                claimed.append(self._opened(row))
            except KeyUnavailable:
                _log.error("a token to be revoked cannot be opened and is put off", extra={"outbox": str(row.id)})
                self.postpone(row.id, UNOPENED_FOR)
        return claimed

    def give_up(self, limit: int, event: AuditEvent) -> int:
        """See the port. Rows and events are one transaction."""
        columns, person = outbox.c, user_account.c
        over = select(columns.id).where(columns.give_up_at <= db_now(), _FREE).limit(limit)
        chosen = over.with_for_update(skip_locked=True).cte("chosen")
        drop = delete(outbox).where(columns.id.in_(select(chosen.c.id)))
        with self._database.writing() as connection:
            rows = connection.execute(drop.returning(columns.user_id, columns.provider_id, columns.link_id)).all()
            known = select(person.id, person.issuer, person.subject).where(person.id.in_([row.user_id for row in rows]))
            people = {found.id: Identity(found.issuer, found.subject) for found in connection.execute(known)}
            for row in rows:
                about = {"user": people.get(row.user_id), "provider_id": row.provider_id, "link_id": row.link_id}
                insert_event(connection, replace(event, **about))
        return len(rows)

    def depth(self) -> OutboxDepth:
        """See the port."""
        # A row is given up a fixed time after it was queued.
        statement = select(func.count(), func.min(outbox.c.give_up_at), db_now())
        with self._database.reading() as connection:
            entries, oldest, now = connection.execute(statement).one()
        return OutboxDepth(entries, timedelta() if oldest is None else now - (oldest - GIVE_UP_AFTER))

    def _opened(self, row: Row[*tuple[Any, ...]]) -> PendingRevocation:
        provider_id = ProviderId(row.provider_id)
        token = self._vault.open(row.sealed, _context(row.id, row.user_id, provider_id, row.client_id))
        return PendingRevocation(row.id, provider_id, row.client_id, token, row.attempts)

    def exchange(self, outbox_id: UUID, token: Secret, length: timedelta) -> None:
        """See the port. The row may be gone, or have got another provider's id."""
        columns = outbox.c
        bound_to = select(columns.user_id, columns.provider_id, columns.client_id).where(columns.id == outbox_id)
        with self._database.writing() as connection:
            row = connection.execute(bound_to.with_for_update()).first()
            if row is not None:
                sealed = self._vault.seal(token, _context(outbox_id, *row))
                values = {"sealed": sealed, "lease_until": from_now(length)}
                connection.execute(update(outbox).where(columns.id == outbox_id).values(values))

    def is_shared(self, outbox_id: UUID) -> bool:
        """See the port."""
        columns, waits, gone = outbox.c, link_waiting.c, link_table.alias("gone")
        rests = exists().where(
            link_table.c.issuer == gone.c.issuer,
            link_table.c.subject == gone.c.subject,
            link_table.c.provider_id == columns.provider_id,
            link_table.c.client_id == columns.client_id,
            link_table.c.state != LinkState.REVOKED,
        )
        asked = exists().where(
            waits.user_id == columns.user_id,
            waits.provider_id == columns.provider_id,
            waits.client_id == columns.client_id,
            waits.expires_at > db_now(),
        )
        shared = or_(rests, and_(columns.kind == STRAY, asked))
        found = select(columns.id).outerjoin_from(outbox, gone, gone.c.id == columns.link_id)
        with self._database.reading() as connection:
            return connection.execute(found.where(columns.id == outbox_id, shared)).first() is not None

    def done(self, outbox_id: UUID) -> None:
        """See the port."""
        with self._database.writing() as connection:
            connection.execute(delete(outbox).where(outbox.c.id == outbox_id))

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        """See the port."""
        statement = (
            update(outbox)
            .where(outbox.c.id == outbox_id)
            .values(attempts=outbox.c.attempts + 1, next_try_at=from_now(retry_in), lease_until=None)
        )
        with self._database.writing() as connection:
            connection.execute(statement)


def queue_revocation(
    connection: Connection,
    vault: Vault,
    provider_id: ProviderId,
    client_id: str,
    user_id: UserId | None,
    link_id: LinkId | None,
    token: Secret,
    kind: str = OF_LINK,
) -> UUID:
    """Queue a token in the transaction under way; the id of its row. `link_id`: None if the link is gone."""
    outbox_id = uuid4()
    connection.execute(
        insert(outbox).values(
            id=outbox_id,
            kind=kind,
            link_id=link_id,
            user_id=user_id,
            provider_id=provider_id,
            client_id=client_id,
            sealed=vault.seal(token, _context(outbox_id, user_id, provider_id, client_id)),
            attempts=0,
            next_try_at=db_now(),
            give_up_at=from_now(GIVE_UP_AFTER),
        )
    )
    return outbox_id


def queue_stray(
    connection: Connection,
    vault: Vault,
    provider_id: ProviderId,
    client_id: str,
    user_id: UserId | None,
    token: Secret,
) -> UUID:
    """The same for a token that no link was made of."""
    return queue_revocation(connection, vault, provider_id, client_id, user_id, None, token, STRAY)


def queue_link_revocation(connection: Connection, vault: Vault, link: Link, token: Secret) -> UUID:
    """Queue a token of this link in the transaction under way; the id of its row."""
    return queue_revocation(connection, vault, link.provider_id, link.client_id, link.user_id, link.id, token)


def reseal_owed(
    connection: Connection, vault: Vault, outbox_id: UUID, old: ProviderId, new: ProviderId, *, dry_run: bool
) -> bool | None:
    """Give a row to another provider; False if a worker is at it, None if it is gone. Raises KeyUnavailable."""
    columns = outbox.c
    found = select(columns.user_id, columns.client_id, columns.sealed, _FREE.label("free"))
    whole = found.where(columns.id == outbox_id, columns.provider_id == old).with_for_update()
    row = connection.execute(whole).first()
    if row is None:
        return None
    token = vault.open(row.sealed, _context(outbox_id, row.user_id, old, row.client_id))
    if row.free and not dry_run:
        sealed = vault.seal(token, _context(outbox_id, row.user_id, new, row.client_id))
        connection.execute(update(outbox).where(columns.id == outbox_id).values(provider_id=new, sealed=sealed))
    return bool(row.free)


def drop_revocations(connection: Connection, link: Link) -> bool:
    """Forget what is still owed for a link's grant: sent now, it would end the one that replaced it.

    So, too, what the user's failed linkings at the provider left, for it is not known whose account that is.
    True: some of it is just being sent, which forgetting it does not stop.
    """
    drop = delete(outbox).where(_own(link), outbox.c.client_id == link.client_id)
    return any(connection.execute(drop.returning(~_FREE)).scalars().all())


def drop_revocations_of(connection: Connection, vault: Vault, link: Link, received: Collection[Secret]) -> bool:
    """Forget what is owed of a link, or of the user's failed linkings, that is the very token it was `received` with.

    True as in `drop_revocations`.
    """
    columns = outbox.c
    wanted = select(*_PENDING, ~_FREE).where(_own(link), columns.client_id == link.client_id).with_for_update()
    claimed = False
    for *row, under_way in connection.execute(wanted).all():
        outbox_id, user_id, provider_id, client_id, sealed, _ = row
        with suppress(KeyUnavailable):
            if vault.open(sealed, _context(outbox_id, user_id, ProviderId(provider_id), client_id)) in received:
                connection.execute(delete(outbox).where(columns.id == outbox_id))
                claimed = claimed or under_way
    return claimed


def is_being_revoked(connection: Connection, provider: Provider, account: Account) -> bool:
    """Whether a token of a link to this account is just being revoked, whosever it was."""
    there, columns = outbox.c, link_table.c
    under_way = exists().where(
        there.link_id == columns.id,
        ~_FREE,
        there.provider_id == provider.id,
        there.client_id == provider.client_id,
        columns.issuer == account.issuer,
        columns.subject == account.subject,
    )
    return bool(connection.execute(select(under_way)).scalar_one())


def _own(link: Link) -> ColumnElement[bool]:
    """The rows of a link, and those that the user's failed linkings at the provider left."""
    columns = outbox.c
    strays = and_(columns.kind == STRAY, columns.user_id == link.user_id, columns.provider_id == link.provider_id)
    return or_(columns.link_id == link.id, strays)


def may_share_grant(
    connection: Connection, provider_id: ProviderId, client_id: str, user_id: UserId | None, account: Account | None
) -> bool:
    """Whether a link that is not revoked may rest on the grant of a token that the user received for this account."""
    columns = link_table.c
    if account is None:
        whose = columns.user_id == user_id
    else:
        whose = and_(columns.issuer == account.issuer, columns.subject == account.subject)
    there = exists().where(
        whose,
        columns.provider_id == provider_id,
        columns.client_id == client_id,
        columns.state != LinkState.REVOKED,
    )
    return bool(connection.execute(select(there)).scalar_one())


def _context(outbox_id: UUID, user_id: UserId | None, provider_id: ProviderId, client_id: str) -> Context:
    return Context(outbox.name, Kind.OUTBOX, outbox_id, user_id, provider_id, client_id)

"""Tokens owed to providers for revocation: queued in the transaction that gave them up, claimed one by one."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select, update

from tokenstore.core.model import Account, Identity, Link, LinkId, LinkState, Provider, ProviderId, UserId
from tokenstore.core.ports import PendingRevocation
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import link as link_table
from tokenstore.store.tables import outbox, user_account
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

GIVE_UP_AFTER = timedelta(days=7)


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
            if provider.revokes_grant and _may_share_grant(connection, provider, user_id, account):
                return None
            return queue_revocation(connection, self._vault, provider.id, provider.client_id, user_id, None, token)

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """See the port. Raises KeyUnavailable."""
        columns = outbox.c
        statement = (
            update(outbox)
            .where(
                columns.id == outbox_id,
                columns.next_try_at <= db_now(),
                or_(columns.lease_until.is_(None), columns.lease_until < db_now()),
            )
            .values(lease_until=from_now(length))
            .returning(columns.user_id, columns.provider_id, columns.client_id, columns.sealed, columns.attempts)
        )
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        provider_id = ProviderId(row.provider_id)
        token = self._vault.open(row.sealed, _context(outbox_id, row.user_id, provider_id, row.client_id))
        return PendingRevocation(outbox_id, provider_id, row.client_id, token, row.attempts)

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
) -> UUID:
    """Queue a token in the transaction under way; the id of its row."""
    outbox_id = uuid4()
    connection.execute(
        insert(outbox).values(
            id=outbox_id,
            kind="revoke",
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


def queue_link_revocation(connection: Connection, vault: Vault, link: Link, token: Secret) -> UUID:
    """Queue a token of this link in the transaction under way; the id of its row."""
    return queue_revocation(connection, vault, link.provider_id, link.client_id, link.user_id, link.id, token)


def reseal_owed(
    connection: Connection, vault: Vault, outbox_id: UUID, old: ProviderId, new: ProviderId, *, dry_run: bool
) -> bool | None:
    """Give a row to another provider; False if a worker is at it, None if it is gone. Raises KeyUnavailable."""
    columns = outbox.c
    free = or_(columns.lease_until.is_(None), columns.lease_until < db_now())
    found = select(columns.user_id, columns.client_id, columns.sealed, free.label("free"))
    whole = found.where(columns.id == outbox_id, columns.provider_id == old).with_for_update()
    row = connection.execute(whole).first()
    if row is None:
        return None
    token = vault.open(row.sealed, _context(outbox_id, row.user_id, old, row.client_id))
    if row.free and not dry_run:
        sealed = vault.seal(token, _context(outbox_id, row.user_id, new, row.client_id))
        connection.execute(update(outbox).where(columns.id == outbox_id).values(provider_id=new, sealed=sealed))
    return bool(row.free)


def drop_revocations(connection: Connection, link: Link) -> None:
    """Forget what is still owed for a link's grant: sent now, it would end the one that replaced it.

    So, too, what the user's failed linkings at the provider left, for it is not known whose account that is.
    """
    columns = outbox.c
    strays = and_(columns.link_id.is_(None), columns.user_id == link.user_id, columns.provider_id == link.provider_id)
    own = or_(columns.link_id == link.id, strays)
    connection.execute(delete(outbox).where(own, columns.client_id == link.client_id))


def _may_share_grant(
    connection: Connection, provider: Provider, user_id: UserId | None, account: Account | None
) -> bool:
    """Whether a link that is not revoked may rest on the grant of a token that the user received for this account."""
    columns = link_table.c
    if account is None:
        whose = columns.user_id == user_id
    else:
        whose = and_(columns.issuer == account.issuer, columns.subject == account.subject)
    there = exists().where(
        whose,
        columns.provider_id == provider.id,
        columns.client_id == provider.client_id,
        columns.state != LinkState.REVOKED,
    )
    return bool(connection.execute(select(there)).scalar_one())


def _context(outbox_id: UUID, user_id: UserId | None, provider_id: ProviderId, client_id: str) -> Context:
    return Context(outbox.name, Kind.OUTBOX, outbox_id, user_id, provider_id, client_id)

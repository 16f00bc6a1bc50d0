"""Tokens owed to providers for revocation: queued in the transaction that gave them up, claimed one by one."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, insert, or_, select, update

from tokenstore.core.model import Identity, Link, LinkId, Provider, ProviderId, UserId
from tokenstore.core.ports import PendingRevocation
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import outbox, user_account
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

GIVE_UP_AFTER = timedelta(days=7)


class SqlOutbox:
    """The `Outbox` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def queue_revocation(self, provider: Provider, user: Identity, token: Secret) -> UUID:
        """Queue a token that belongs to no stored link."""
        self._vault.ready()
        account = user_account.c
        known = select(account.id).where(account.issuer == user.issuer, account.subject == user.subject)
        with self._database.writing() as connection:
            user_id = connection.execute(known).scalar_one_or_none()
            return queue_revocation(connection, self._vault, provider.id, provider.client_id, user_id, None, token)

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """Take the row for this long; None if it is gone, taken or not due. Raises KeyUnavailable."""
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
        """Forget a finished row."""
        with self._database.writing() as connection:
            connection.execute(delete(outbox).where(outbox.c.id == outbox_id))

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        """Count the attempt, give the row back and let it rest."""
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


def drop_revocations(connection: Connection, link_id: LinkId, client_id: str) -> None:
    """Forget what is still owed for a link and client: sent now, it would end the grant that replaced it."""
    connection.execute(delete(outbox).where(outbox.c.link_id == link_id, outbox.c.client_id == client_id))


def _context(outbox_id: UUID, user_id: UserId | None, provider_id: ProviderId, client_id: str) -> Context:
    return Context(outbox.name, Kind.OUTBOX, outbox_id, user_id, provider_id, client_id)

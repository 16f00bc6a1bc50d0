"""Unlinking: a tombstone is left, the token goes to the outbox, and another link becomes the default.

It happens under the lock of the user's row, like linking.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, select, update

from tokenstore.core.model import AuditEvent, Identity, LinkId, LinkState, ProviderId, UserId
from tokenstore.core.ports import Debt, NewLink, Unlinked
from tokenstore.errors import KeyUnavailable
from tokenstore.store.access_tokens import (
    drop_access_tokens,
)
from tokenstore.store.audit import insert_event
from tokenstore.store.base import from_now, milliseconds
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import FREE, LINK_COLUMNS, PREVIOUS, has_default, same_row, to_link
from tokenstore.store.outbox import queue_link_revocation
from tokenstore.store.owed import LIVING, log_lost, owed_token, previous_token
from tokenstore.store.tables import access_token, audit_event, link
from tokenstore.store.users import lock_user

TOMBSTONE_FOR = timedelta(hours=24)
"""How long an unlinked link leaves a trace, which it gets back to life from if it is linked again.

It counts from when a token of it was queued for revocation last.
"""

_NO_SECRETS: dict[str, Any] = {"refresh_sealed": None, "prev_sealed": None, "prev_until": None}
_other = link.alias("other")


class LinkRemovals(LinkPart):
    """The unlinking part of the `LinkStore` port."""

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the user's links and queue their tokens. Raises ValueError if neither provider nor link is named.

        A link whose token cannot be opened is unlinked all the same; the token is lost, which is logged.
        """
        if provider_id is None and link_id is None:
            raise ValueError("unlink needs a provider or a link")
        with suppress(KeyUnavailable):
            self._vault.ready()
        with self._database.writing() as connection:
            user_id = lock_user(connection, user)
            if user_id is None:
                return []
            unlinked = self._unlink(connection, to_unlink(user_id, provider_id, link_id), event)
            for affected in sorted({gone.link.provider_id for gone in unlinked}):
                pass_default_on(connection, user_id, affected)
        return unlinked

    def _unlink(
        self, connection: Connection, chosen: Select[*tuple[Any, ...]], event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the rows of a `to_unlink`, in the transaction under way, which holds the lock of the user's row."""
        return [self._revoke(connection, row, event) for row in connection.execute(chosen).all()]

    def _revoke(self, connection: Connection, row: Row[*tuple[Any, ...]], event: AuditEvent) -> Unlinked:
        old = to_link(row)
        token, lost = None, False
        try:
            token = owed_token(self._vault, old, row.refresh_sealed, row.access_sealed)
        except KeyUnavailable:
            log_lost(old)
            lost = True
        values = {
            **FREE,
            **_NO_SECRETS,
            "state": LinkState.REVOKED,
            "version": link.c.version + 1,
            "is_default": False,
            "refresh_expires_at": None,
            "next_try_at": None,
            "due_at": from_now(TOMBSTONE_FOR),
        }
        statement = update(link).where(same_row(old)).values(values)
        gone = to_link(connection.execute(statement.returning(*LINK_COLUMNS)).one())
        drop_access_tokens(connection, old.id)
        debt = None
        if token is not None:
            debt = Debt(queue_link_revocation(connection, self._vault, old, token), old.provider_id)
        previous = previous_token(self._vault, old, row.previous_sealed)
        if previous is not None and previous != token:
            queue_link_revocation(connection, self._vault, old, previous)
        insert_event(connection, replace(event, provider_id=old.provider_id, link_id=old.id))
        return Unlinked(gone, debt, lost)


def to_unlink(user_id: UserId, provider_id: ProviderId | None, link_id: LinkId | None) -> Select[*tuple[Any, ...]]:
    """The links to revoke, oldest first and locked, with their refresh tokens and their living plain access token."""
    statement = (
        select(*LINK_COLUMNS, link.c.refresh_sealed, PREVIOUS, access_token.c.sealed.label("access_sealed"))
        .outerjoin_from(link, access_token, LIVING)
        .where(link.c.user_id == user_id, link.c.state != LinkState.REVOKED)
        .order_by(link.c.linked_at, link.c.id)
        .with_for_update(key_share=True, of=link)
    )
    if provider_id is not None:
        statement = statement.where(link.c.provider_id == provider_id)
    if link_id is not None:
        statement = statement.where(link.c.id == link_id)
    return statement


def _waited(new: NewLink) -> timedelta:
    """Time since the tokens were asked for, rounded down as instants are: what was before that stays before it."""
    return timedelta(milliseconds=milliseconds(new.elapsed))


def was_let_go(connection: Connection, new: NewLink) -> bool:
    """Whether a token of a link to this account, whosever it was, was queued for revocation since this one came.

    Where revoking one token ends the whole grant, that may have ended the new one, too, and be paid and forgotten.
    """
    there = exists().where(
        link.c.provider_id == new.provider.id,
        link.c.client_id == new.provider.client_id,
        link.c.issuer == new.account.issuer,
        link.c.subject == new.account.subject,
        link.c.state == LinkState.REVOKED,
        link.c.due_at > from_now(TOMBSTONE_FOR - _waited(new)),
    )
    return bool(connection.execute(select(there)).scalar_one())


def was_unlinked(connection: Connection, link_id: LinkId, new: NewLink) -> bool:
    """The same of a link that was made again meanwhile, which leaves only the event."""
    columns = audit_event.c
    there = exists().where(
        columns.provider_id == new.provider.id,
        columns.action == "link.removed",
        columns.at > from_now(-_waited(new)),
        columns.link_id == link_id,
    )
    return bool(connection.execute(select(there)).scalar_one())


def pass_default_on(connection: Connection, user_id: UserId, provider_id: ProviderId) -> None:
    """Make the oldest link that is left the default, if there is no other default."""
    left = (
        select(_other.c.id)
        .where(_other.c.user_id == user_id, _other.c.provider_id == provider_id, _other.c.state != LinkState.REVOKED)
        .order_by(_other.c.linked_at, _other.c.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = update(link).where(link.c.id == left, ~has_default(user_id, provider_id))
    connection.execute(statement.values(is_default=True))

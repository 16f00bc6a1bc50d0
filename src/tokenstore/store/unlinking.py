"""Unlinking: a tombstone is left, the token goes to the outbox, and another link becomes the default.

It happens under the lock of the user's row, like linking.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, update

from tokenstore.core.model import Asked, AuditEvent, Identity, Link, LinkId, LinkState, ProviderId, UserId
from tokenstore.core.ports import Unlinked
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.access_tokens import (
    drop_access_tokens,
    open_access_token,
)
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import FREE, LINK_COLUMNS, current_context, has_default, same_row, to_link
from tokenstore.store.outbox import queue_link_revocation
from tokenstore.store.tables import access_token, link
from tokenstore.store.users import lock_user

_PLAIN = Asked().variant
_NO_SECRETS: dict[str, Any] = {"refresh_sealed": None, "prev_sealed": None, "prev_until": None}
_other = link.alias("other")


class LinkRemovals(LinkPart):
    """The unlinking part of the `LinkStore` port."""

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the user's links and queue their tokens. Raises ValueError if neither provider nor link is named.

        A link whose token cannot be opened is unlinked all the same, with nothing to be queued.
        """
        if provider_id is None and link_id is None:
            raise ValueError("unlink needs a provider or a link")
        with suppress(KeyUnavailable):
            self._vault.ready()
        with self._database.writing() as connection:
            user_id = lock_user(connection, user)
            if user_id is None:
                return []
            rows = connection.execute(_to_unlink(user_id, provider_id, link_id)).all()
            unlinked = [self._revoke(connection, row, event) for row in rows]
            for affected in sorted({gone.link.provider_id for gone in unlinked}):
                pass_default_on(connection, user_id, affected)
        return unlinked

    def _revoke(self, connection: Connection, row: Row[*tuple[Any, ...]], event: AuditEvent) -> Unlinked:
        old = to_link(row)
        token = self._opened(old, row.refresh_sealed, row.access_sealed)
        values = {
            **FREE,
            **_NO_SECRETS,
            "state": LinkState.REVOKED,
            "version": link.c.version + 1,
            "is_default": False,
            "refresh_expires_at": None,
            "next_try_at": None,
        }
        statement = update(link).where(same_row(old)).values(values)
        gone = to_link(connection.execute(statement.returning(*LINK_COLUMNS)).one())
        drop_access_tokens(connection, old.id)
        outbox_id = None if token is None else queue_link_revocation(connection, self._vault, old, token)
        insert_event(connection, replace(event, provider_id=old.provider_id, link_id=old.id))
        return Unlinked(gone, outbox_id)

    def _opened(self, old: Link, refresh_sealed: bytes | None, access_sealed: bytes | None) -> Secret | None:
        """The token whose revocation ends what the provider gave; None if there is none or it cannot be opened."""
        with suppress(KeyUnavailable):
            if refresh_sealed is not None:
                return self._vault.open(refresh_sealed, current_context(old))
            if access_sealed is not None:
                return open_access_token(self._vault, old, _PLAIN, access_sealed)[0]
        return None


def _to_unlink(user_id: UserId, provider_id: ProviderId | None, link_id: LinkId | None) -> Select[*tuple[Any, ...]]:
    """The links to revoke, oldest first and locked, with their refresh token and their living plain access token."""
    living = and_(
        access_token.c.link_id == link.c.id,
        access_token.c.variant == _PLAIN,
        or_(access_token.c.expires_at.is_(None), access_token.c.expires_at > db_now()),
    )
    statement = (
        select(*LINK_COLUMNS, link.c.refresh_sealed, access_token.c.sealed.label("access_sealed"))
        .outerjoin_from(link, access_token, living)
        .where(link.c.user_id == user_id, link.c.state != LinkState.REVOKED)
        .order_by(link.c.linked_at, link.c.id)
        .with_for_update(key_share=True, of=link)
    )
    if provider_id is not None:
        statement = statement.where(link.c.provider_id == provider_id)
    if link_id is not None:
        statement = statement.where(link.c.id == link_id)
    return statement


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

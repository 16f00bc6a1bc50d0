"""Linking an account, for the first time or again.

It happens under the lock of the user's row, so that there is one row per account and one default per provider
whoever comes at the same time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from tokenstore.core.model import Asked, AuditEvent, Identity, Link, LinkId, LinkState, ProviderId, UserId
from tokenstore.core.ports import NewLink
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.access_tokens import (
    drop_access_tokens,
    join_scopes,
    put_access_token,
    put_other_tokens,
    seal_access_token,
)
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import (
    FREE,
    HEALTHY,
    LINK_COLUMNS,
    current_context,
    has_default,
    refresh_context,
    same_row,
    to_link,
)
from tokenstore.store.outbox import drop_revocations, queue_link_revocation
from tokenstore.store.saving import refresh_end
from tokenstore.store.tables import link, user_account
from tokenstore.store.texts import storable
from tokenstore.store.users import ensure_user

_PLAIN = Asked().variant


class LinkAttachments(LinkPart):
    """The linking part of the `LinkStore` port."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        """See the port. User, link, access token and audit row are one transaction."""
        self._vault.ready()
        with self._database.writing() as connection:
            user_id = ensure_user(connection, new.user)
            row = connection.execute(
                select(*LINK_COLUMNS, link.c.refresh_sealed)
                .where(
                    *_at_provider(user_id, new.provider.id),
                    link.c.issuer == new.account.issuer,
                    link.c.subject == new.account.subject,
                )
                .with_for_update(key_share=True)
            ).first()
            if row is None:
                attached = self._insert(connection, user_id, new)
            else:
                attached = self._relink(connection, to_link(row), row.refresh_sealed, new)
            if new.provider.revokes_grant:
                drop_revocations(connection, attached)
            sealed = seal_access_token(self._vault, attached, _PLAIN, new.tokens)
            granted = attached.scopes_granted
            put_other_tokens(connection, self._vault, attached, new.tokens, new.elapsed)
            put_access_token(connection, attached, _PLAIN, new.tokens, granted, new.elapsed, sealed)
            insert_event(connection, replace(event, provider_id=new.provider.id, link_id=attached.id))
            if row is None or row.state == LinkState.REVOKED:
                _note_sharing(connection, attached, new.user.identity, event)
        return attached

    def _insert(self, connection: Connection, user_id: UserId, new: NewLink) -> Link:
        link_id = LinkId(uuid4())
        values = {
            **_linked(new),
            "id": link_id,
            "user_id": user_id,
            "provider_id": new.provider.id,
            "issuer": new.account.issuer,
            "subject": new.account.subject,
            "is_default": ~has_default(user_id, new.provider.id),
            "version": 1,
            "refresh_sealed": self._sealed(link_id, user_id, new),
            "linked_at": db_now(),
        }
        return to_link(connection.execute(insert(link).values(values).returning(*LINK_COLUMNS)).one())

    def _relink(self, connection: Connection, old: Link, old_sealed: bytes | None, new: NewLink) -> Link:
        values = {
            **_linked(new),
            "is_default": or_(link.c.is_default, ~has_default(old.user_id, old.provider_id)),
        }
        if old.state is LinkState.REVOKED:
            values["linked_at"] = db_now()
        # Some providers give a refresh token only once. If the stored one goes on, so may a refresh that is under way.
        if new.tokens.refresh_token is not None or not old.refreshable_by(new.provider.client_id):
            values = {
                "refresh_expires_at": None,
                **values,
                **FREE,
                "version": link.c.version + 1,
                "refresh_sealed": self._sealed(old.id, old.user_id, new),
                "prev_sealed": None,
                "prev_until": None,
            }
        if not new.provider.revokes_grant and old_sealed is not None and new.tokens.refresh_token is not None:
            self._queue_replaced(connection, old, old_sealed, new.tokens.refresh_token)
        drop_access_tokens(connection, old.id)
        statement = update(link).where(same_row(old)).values(values)
        return to_link(connection.execute(statement.returning(*LINK_COLUMNS)).one())

    def _queue_replaced(self, connection: Connection, old: Link, old_sealed: bytes, new_token: Secret) -> None:
        try:
            token = self._vault.open(old_sealed, current_context(old))
        except KeyUnavailable:
            return
        if token != new_token:
            queue_link_revocation(connection, self._vault, old, token)

    def _sealed(self, link_id: LinkId, user_id: UserId, new: NewLink) -> bytes | None:
        if new.tokens.refresh_token is None:
            return None
        context = refresh_context(link_id, user_id, new.provider.id, new.provider.client_id)
        return self._vault.seal(new.tokens.refresh_token, context)


def _linked(new: NewLink) -> dict[str, Any]:
    """The columns that every completed linking sets."""
    granted = new.tokens.scopes if new.tokens.scopes is not None else new.scopes_requested
    email = storable(new.account.email)
    return {
        **HEALTHY,
        "client_id": new.provider.client_id,
        "account_name": storable(new.account.name),
        "account_email": email,
        "account_email_verified": new.account.email_verified and email is not None and email == new.account.email,
        "state": LinkState.ACTIVE,
        "scopes_requested": join_scopes(new.scopes_requested),
        "scopes_granted": join_scopes(granted),
        **refresh_end(new.tokens, new.elapsed),
    }


def _note_sharing(connection: Connection, attached: Link, user: Identity, event: AuditEvent) -> None:
    """Audit, at all of them, that several users have linked one account."""
    others = (
        select(user_account.c.issuer, user_account.c.subject, link.c.id)
        .join_from(link, user_account)
        .where(
            link.c.issuer == attached.account.issuer,
            link.c.subject == attached.account.subject,
            link.c.provider_id == attached.provider_id,
            link.c.user_id != attached.user_id,
            link.c.state != LinkState.REVOKED,
        )
    )
    sharing = [(Identity(issuer, subject), link_id) for issuer, subject, link_id in connection.execute(others)]
    for owner, link_id in [*sharing, *([(user, attached.id)] if sharing else [])]:
        insert_event(
            connection, AuditEvent("link.shared", "success", event.caller, owner, attached.provider_id, link_id)
        )


def _at_provider(user_id: UserId, provider_id: ProviderId) -> tuple[ColumnElement[bool], ...]:
    return link.c.user_id == user_id, link.c.provider_id == provider_id

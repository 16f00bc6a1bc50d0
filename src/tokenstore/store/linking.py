"""Linking an account, for the first time or again.

It happens under the lock of the user's row, so that there is one row per account and one default per provider
whoever comes at the same time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, insert, or_, select, update

from tokenstore.core.model import Asked, AuditEvent, Identity, Link, LinkId, LinkState, ProviderId, UserId
from tokenstore.core.ports import NewLink, NotWaiting, OnlyOneAccount
from tokenstore.core.revocation import being_revoked
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
    PREVIOUS,
    due_after,
    first_row,
    has_default,
    refresh_context,
    same_row,
    to_link,
)
from tokenstore.store.outbox import (
    drop_revocations,
    drop_revocations_of,
    is_being_revoked,
    queue_link_revocation,
)
from tokenstore.store.owed import LIVING, log_lost, owed_token, previous_token
from tokenstore.store.saving import refresh_end
from tokenstore.store.tables import access_token, link, user_account
from tokenstore.store.texts import storable
from tokenstore.store.unlinking import was_let_go, was_unlinked
from tokenstore.store.users import ensure_user
from tokenstore.store.waiting import end_waiting

_PLAIN = Asked().variant


class LinkAttachments(LinkPart):
    """The linking part of the `LinkStore` port."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        """See the port. User, link, access token and audit row are one transaction."""
        self._vault.ready()
        with self._database.writing() as connection:
            return self._attach(connection, ensure_user(connection, new.user), new, event)

    def _attach(self, connection: Connection, user_id: UserId, new: NewLink, event: AuditEvent) -> Link:
        """The same in the transaction under way, which holds the lock of the user's row."""
        if new.waiting_id is not None and not end_waiting(connection, new.waiting_id, user_id):
            raise NotWaiting
        of_account = and_(link.c.issuer == new.account.issuer, link.c.subject == new.account.subject)
        row = connection.execute(
            select(*LINK_COLUMNS, link.c.refresh_sealed, PREVIOUS, access_token.c.sealed.label("access_sealed"))
            .outerjoin_from(link, access_token, LIVING)
            .where(*_at_provider(user_id, new.provider.id), of_account)
            .with_for_update(key_share=True, of=link)
        ).first()
        there = None if row is None or row.state == LinkState.REVOKED else LinkId(row.id)
        is_new = there is None
        if is_new and not new.provider.multi_account and _has_links(connection, user_id, new.provider.id):
            raise OnlyOneAccount
        if new.provider.revokes_grant and _may_be_dead(connection, there, new):
            raise being_revoked()
        if row is None:
            attached = self._insert(connection, user_id, new)
        else:
            old = to_link(row)
            if not new.provider.revokes_grant:
                self._queue_replaced(connection, old, row, new)
            attached = self._relink(connection, old, new)
        self._drop_revocations(connection, attached, new, is_new=is_new)
        sealed = seal_access_token(self._vault, attached, _PLAIN, new.tokens)
        granted = attached.scopes_granted
        put_other_tokens(connection, self._vault, attached, new.tokens, new.elapsed)
        put_access_token(connection, attached, _PLAIN, new.tokens, granted, new.elapsed, sealed)
        insert_event(connection, replace(event, provider_id=new.provider.id, link_id=attached.id))
        if is_new:
            _note_sharing(connection, attached, new.user.identity, event)
        return attached

    def _drop_revocations(self, connection: Connection, attached: Link, new: NewLink, *, is_new: bool) -> None:
        """Forget what is owed and would end what was received. Raises ProviderUnavailable if it does so already."""
        if new.provider.revokes_grant:
            if drop_revocations(connection, attached) and is_new:
                raise being_revoked()
            return
        received = [token for token in (new.tokens.refresh_token, new.tokens.access_token) if token is not None]
        if drop_revocations_of(connection, self._vault, attached, received):
            raise being_revoked()

    def _insert(self, connection: Connection, user_id: UserId, new: NewLink) -> Link:
        link_id = LinkId(uuid4())
        values = {
            **_linked(new),
            **first_row(link_id, user_id, new.provider.id, new.account),
            "refresh_sealed": self._sealed(link_id, user_id, new),
            "due_at": _due(link_id, new) if new.tokens.refresh_token else None,
            "linked_at": db_now(),
        }
        return to_link(connection.execute(insert(link).values(values).returning(*LINK_COLUMNS)).one())

    def _relink(self, connection: Connection, old: Link, new: NewLink) -> Link:
        values = {
            **_linked(new),
            "is_default": or_(link.c.is_default, ~has_default(old.user_id, old.provider_id)),
            "due_at": _due(old.id, new),
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
                "grant_version": link.c.version + 1,
                "refresh_sealed": self._sealed(old.id, old.user_id, new),
                "due_at": _due(old.id, new) if new.tokens.refresh_token else None,
                "prev_sealed": None,
                "prev_until": None,
            }
        drop_access_tokens(connection, old.id)
        statement = update(link).where(same_row(old)).values(values)
        return to_link(connection.execute(statement.returning(*LINK_COLUMNS)).one())

    def _queue_replaced(self, connection: Connection, old: Link, row: Row[*tuple[Any, ...]], new: NewLink) -> None:
        """Queue the tokens in whose place others were received; refresh tokens stay where none came and they go on."""
        received = new.tokens
        if received.refresh_token is None and old.refreshable_by(new.provider.client_id):
            return
        owed = [previous_token(self._vault, old, row.previous_sealed)]
        try:
            owed.append(owed_token(self._vault, old, row.refresh_sealed, row.access_sealed))
        except KeyUnavailable:
            log_lost(old)
        for token in owed:
            if token is not None and token not in (received.refresh_token, received.access_token):
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


def _may_be_dead(connection: Connection, there: LinkId | None, new: NewLink) -> bool:
    """Whether a revocation may have ended what was received.

    A link that is there is no worse off with it all the same, unless that was made again since.
    """
    if there is not None:
        return was_unlinked(connection, there, new)
    return was_let_go(connection, new) or is_being_revoked(connection, new.provider, new.account)


def _due(link_id: LinkId, new: NewLink) -> Any:
    return due_after(new.provider, link_id, new.tokens, new.elapsed)


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


def _has_links(connection: Connection, user_id: UserId, provider_id: ProviderId) -> bool:
    there = exists().where(*_at_provider(user_id, provider_id), link.c.state != LinkState.REVOKED)
    return bool(connection.execute(select(there)).scalar_one())


def _at_provider(user_id: UserId, provider_id: ProviderId) -> tuple[ColumnElement[bool], ...]:
    return link.c.user_id == user_id, link.c.provider_id == provider_id

"""Rows of the table `link`: how one becomes a `Link`, is named in a statement, and what its secrets are bound to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, true, update

from tokenstore.core.due import next_due
from tokenstore.core.model import Account, Doubt, Link, LinkId, LinkState, Provider, ProviderId, TokenSet, UserId
from tokenstore.core.ports import Failure
from tokenstore.store.access_tokens import split_scopes
from tokenstore.store.base import db_now, from_now
from tokenstore.store.tables import link
from tokenstore.vault.envelope import Context, Kind

FREE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
HEALTHY: dict[str, Any] = {
    "fail_count": 0,
    "next_try_at": None,
    "last_error": None,
    "last_error_at": None,
    "doubt": None,
}
"""Columns of a link that nobody leases, and of one whose last refresh did not fail."""

# Not `IS NOT NULL`: after an UPDATE to NULL, SQLite 3.38 and later may return the opposite of it.
_HAS_REFRESH_TOKEN = func.coalesce(func.length(link.c.refresh_sealed), 0) > 0

_other = link.alias("other")

PREVIOUS = case((link.c.prev_until > db_now(), link.c.prev_sealed), else_=None).label("previous_sealed")
"""The previous refresh token of a link while it may live."""

LINK_COLUMNS = (
    link.c.id,
    link.c.user_id,
    link.c.provider_id,
    link.c.client_id,
    link.c.issuer,
    link.c.subject,
    link.c.account_name,
    link.c.account_email,
    link.c.account_email_verified,
    link.c.is_default,
    link.c.label,
    link.c.state,
    link.c.version,
    _HAS_REFRESH_TOKEN,
    link.c.scopes_requested,
    link.c.scopes_granted,
    link.c.linked_at,
    link.c.fail_count,
    link.c.lease_until,
    link.c.next_try_at,
    link.c.refresh_expires_at,
    link.c.last_refresh_at,
    link.c.last_used_at,
    link.c.last_error,
    link.c.last_error_at,
    link.c.doubt,
)
"""What a SELECT or RETURNING starts with so that `to_link` can read the row."""


def to_link(row: Sequence[Any]) -> Link:
    """The link of a row that starts with LINK_COLUMNS."""
    (
        link_id,
        user_id,
        provider_id,
        client_id,
        *account,
        is_default,
        label,
        state,
        version,
        has_refresh_token,
        requested,
        granted,
        linked_at,
        fail_count,
        lease_until,
        next_try_at,
        refresh_expires_at,
        last_refresh_at,
        last_used_at,
        last_error,
        last_error_at,
        doubt,
    ) = row[: len(LINK_COLUMNS)]
    return Link(
        id=link_id,
        user_id=user_id,
        provider_id=provider_id,
        client_id=client_id,
        account=Account(*account),
        is_default=is_default,
        label=label,
        state=LinkState(state),
        version=version,
        has_refresh_token=has_refresh_token,
        scopes_requested=split_scopes(requested),
        scopes_granted=split_scopes(granted),
        linked_at=linked_at,
        fail_count=fail_count,
        lease_until=lease_until,
        next_try_at=next_try_at,
        refresh_expires_at=refresh_expires_at,
        last_refresh_at=last_refresh_at,
        last_used_at=last_used_at,
        last_error=last_error,
        last_error_at=last_error_at,
        doubt=None if doubt is None else Doubt(doubt),
    )


def first_row(link_id: LinkId, user_id: UserId, provider_id: ProviderId, account: Account) -> dict[str, Any]:
    """Columns that a link to this account begins with; it is the default if the user has no other."""
    return {
        "id": link_id,
        "user_id": user_id,
        "provider_id": provider_id,
        "issuer": account.issuer,
        "subject": account.subject,
        "is_default": ~has_default(user_id, provider_id),
        "version": 1,
        "grant_version": 1,
    }


def failed(failure: Failure) -> dict[str, Any]:
    """Columns of a link whose refresh failed so."""
    doubt = {} if failure.doubt is None else {"doubt": failure.doubt}
    return {
        "fail_count": link.c.fail_count + (1 if failure.counts else 0),
        "next_try_at": from_now(failure.retry_in),
        "due_at": from_now(failure.retry_in),
        "last_error": failure.reason,
        "last_error_at": db_now(),
        **doubt,
    }


def due_after(provider: Provider, link_id: LinkId, tokens: TokenSet, elapsed: timedelta) -> Any:
    """What `due_at` becomes for a link with a refresh token that got these tokens, asked for `elapsed` ago."""
    lives = (tokens.expires_in, tokens.refresh_expires_in)
    access, refresh = (None if life is None else life - elapsed for life in lives)
    due_in = next_due(provider, link_id, access, refresh)
    return None if due_in is None else from_now(due_in)


def refresh_context(link_id: LinkId, user_id: UserId, provider_id: ProviderId, client_id: str) -> Context:
    """What a link's refresh token is bound to; `client_id` is the one it was issued to."""
    return Context(link.name, Kind.REFRESH, link_id, user_id, provider_id, client_id)


def current_context(of: Link) -> Context:
    """What the refresh token of this link is bound to."""
    return refresh_context(of.id, of.user_id, of.provider_id, of.client_id)


def previous_context(of: Link) -> Context:
    """What the previous refresh token of this link is bound to."""
    return replace(current_context(of), kind=Kind.PREVIOUS)


def same_row(seen: Link) -> ColumnElement[bool]:
    """The row of this link, if it is still its owner's."""
    return and_(link.c.id == seen.id, link.c.user_id == seen.user_id)


def at_version(seen: Link) -> ColumnElement[bool]:
    """The row of this link, if it has not moved since it was seen, not to another provider id either, nor was unlinked.

    The version stays where a provider gets another id, so that an answer in a spool finds its link afterwards.
    """
    same = and_(same_row(seen), link.c.provider_id == seen.provider_id)
    return and_(same, link.c.version == seen.version, link.c.state != LinkState.REVOKED)


def held_by(seen: Link, owner: str) -> ColumnElement[bool]:
    """The row of this link, if it has not moved and nobody else took the owner's lease, lapsed or not."""
    return and_(at_version(seen), link.c.lease_owner == owner)


def update_one(connection: Connection, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
    """Write these columns; whether there was such a row."""
    return connection.execute(update(link).where(where).values(values)).rowcount == 1


def has_default(user_id: UserId, provider_id: ProviderId) -> ColumnElement[bool]:
    """Whether one of the user's links at the provider is the default."""
    return exists().where(
        _other.c.user_id == user_id, _other.c.provider_id == provider_id, _other.c.is_default == true()
    )

"""Cached access tokens: sealed, one per variant of a link. Whoever writes them holds the link's row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid5

from sqlalchemy import Connection, delete, select, update

from tokenstore.core.model import AccessToken, Asked, Link, LinkId, ProviderId, TokenSet, UserId
from tokenstore.core.secret import Secret
from tokenstore.store.base import from_now
from tokenstore.store.engine import insert_into
from tokenstore.store.tables import access_token
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

MOST_VARIANTS = 16
"""Variants kept per link; the least recently issued goes first."""

# Sealed is this and the token alone, or, where there are kept fields, a JSON array of the token and them.
_BARE = "="


def put_access_token(
    connection: Connection,
    link: Link,
    variant: str,
    tokens: TokenSet,
    scopes: frozenset[str],
    elapsed: timedelta,
    sealed: bytes,
) -> AccessToken:
    """Insert or replace the variant's token, sealed by `seal_access_token`, and drop what is too many.

    Its life counts from sending the request, `elapsed` before the database's now.
    """
    insert = insert_into(connection, access_token).values(
        link_id=link.id,
        variant=variant,
        sealed=sealed,
        scopes=join_scopes(scopes),
        issued_at=from_now(-elapsed),
        expires_at=None if tokens.expires_in is None else from_now(tokens.expires_in - elapsed),
        link_version=link.version,
    )
    columns = access_token.c
    upsert = insert.on_conflict_do_update(
        index_elements=[columns.link_id, columns.variant],
        set_={name: insert.excluded[name] for name in ("sealed", "scopes", "issued_at", "expires_at", "link_version")},
    ).returning(columns.issued_at, columns.expires_at)
    issued_at, expires_at = connection.execute(upsert).one()
    _drop_oldest(connection, link.id, variant)
    return AccessToken(tokens.access_token, scopes, issued_at, expires_at, tokens.extra)


def put_other_tokens(connection: Connection, vault: Vault, link: Link, tokens: TokenSet, elapsed: timedelta) -> None:
    """Insert or replace the tokens that came along for further resource servers, each the variant of its audience."""
    for server, other in tokens.others.items():
        variant = Asked(audience=server).variant
        sealed = seal_access_token(vault, link, variant, other)
        put_access_token(connection, link, variant, other, other.scopes or frozenset(), elapsed, sealed)


def drop_access_tokens(connection: Connection, link_id: LinkId) -> None:
    """Forget all access tokens of a link."""
    connection.execute(delete(access_token).where(access_token.c.link_id == link_id))


def seal_access_token(vault: Vault, link: Link, variant: str, tokens: TokenSet) -> bytes:
    """The token and its kept fields as one sealed value, bound to the link and the variant."""
    value = tokens.access_token.reveal()
    text = json.dumps([value, tokens.extra]) if tokens.extra else _BARE + value
    return vault.seal(Secret(text), _context(link, variant))


def open_access_token(vault: Vault, link: Link, variant: str, sealed: bytes) -> tuple[Secret, dict[str, Any]]:
    """The token and its kept fields. Raises KeyUnavailable."""
    return open_bound(vault, _context(link, variant), sealed)


def open_bound(vault: Vault, context: Context, sealed: bytes) -> tuple[Secret, dict[str, Any]]:
    """The same of a link that was not read as a whole; `context` by `access_context`."""
    text = vault.open(sealed, context).reveal()
    if text.startswith(_BARE):
        return Secret(text[1:]), {}
    value, extra = json.loads(text)
    return Secret(value), extra


def resealed_access_tokens(connection: Connection, vault: Vault, before: Link, after: Link) -> Mapping[str, bytes]:
    """The access tokens of a link by variant, sealed for the link as it will be. Raises KeyUnavailable."""
    columns = access_token.c
    rows = connection.execute(select(columns.variant, columns.sealed).where(columns.link_id == before.id))
    return {
        variant: vault.seal(vault.open(sealed, _context(before, variant)), _context(after, variant))
        for variant, sealed in rows.all()
    }


def put_resealed(connection: Connection, link_id: LinkId, sealed: Mapping[str, bytes]) -> None:
    """Replace what is sealed, and nothing else, of these variants."""
    columns = access_token.c
    for variant, value in sealed.items():
        row = update(access_token).where(columns.link_id == link_id, columns.variant == variant)
        connection.execute(row.values(sealed=value))


def join_scopes(scopes: frozenset[str]) -> str:
    """Scopes as the tables keep them."""
    return " ".join(sorted(scopes))


def split_scopes(text: str) -> frozenset[str]:
    """The scopes of a column."""
    return frozenset(text.split())


def access_context(link_id: LinkId, user_id: UserId, provider_id: ProviderId, client_id: str, variant: str) -> Context:
    """What a link's access token of this variant is bound to; `client_id` is the one it was issued to."""
    # The row has no id of its own; this one binds the variant too.
    return Context(access_token.name, Kind.ACCESS, uuid5(link_id, variant), user_id, provider_id, client_id)


def _context(link: Link, variant: str) -> Context:
    return access_context(link.id, link.user_id, link.provider_id, link.client_id, variant)


def _drop_oldest(connection: Connection, link_id: LinkId, written: str) -> None:
    columns = access_token.c
    others = (columns.link_id == link_id, columns.variant != written)
    newest = select(columns.variant).where(*others).order_by(columns.issued_at.desc()).limit(MOST_VARIANTS - 1)
    connection.execute(delete(access_token).where(*others, columns.variant.not_in(newest)))

"""Reading links: the narrow read behind every hand-out, a link as a whole, and the list of a user's links.

Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, select, true

from tokenstore.core.model import AccessToken, Asked, Cached, Holding, Identity, LinkId, LinkState, ProviderId
from tokenstore.core.ports import Standing
from tokenstore.store.access_tokens import access_context, open_access_token, open_bound, split_scopes
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.hot_connections import Row
from tokenstore.store.hot_read import HotRead
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import LINK_COLUMNS, to_link
from tokenstore.store.tables import access_token, link, user_account
from tokenstore.vault.vault import Vault


def _links_of_user(*columns: Any, needs_token: bool = False) -> Select[*tuple[Any, ...]]:
    """The links of the user `:issuer`, `:subject` that exist for that user, with this variant's access token.

    needs_token: only those that have one.
    """
    variant = and_(access_token.c.link_id == link.c.id, access_token.c.variant == bindparam("variant"))
    return (
        select(*columns, db_now())
        .select_from(user_account)
        .join(link, link.c.user_id == user_account.c.id)
        .join(access_token, variant, isouter=not needs_token)
        .where(
            user_account.c.issuer == bindparam("issuer"),
            user_account.c.subject == bindparam("subject"),
            user_account.c.disabled_at.is_(None),
            link.c.state != LinkState.REVOKED.value,
        )
    )


_TOKEN_COLUMNS = (access_token.c.sealed, access_token.c.scopes, access_token.c.issued_at, access_token.c.expires_at)
_HERE = link.c.provider_id == bindparam("provider_id")
_DEFAULT = link.c.is_default == true()
_NAMED = link.c.id == bindparam("link_id")
_CACHED = _links_of_user(link.c.id, link.c.user_id, link.c.client_id, *_TOKEN_COLUMNS, needs_token=True).where(_HERE)
_HOLDING = _links_of_user(*LINK_COLUMNS, *_TOKEN_COLUMNS).where(_HERE)
_STANDINGS = _links_of_user(*LINK_COLUMNS, access_token.c.issued_at, access_token.c.expires_at).order_by(
    link.c.provider_id, link.c.is_default.desc(), link.c.linked_at, link.c.id
)


class LinkReads(LinkPart):
    """The reading part of the `LinkStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database, vault)
        self._cached = HotRead(database, _CACHED.where(_DEFAULT)), HotRead(database, _CACHED.where(_NAMED))
        self._holding = HotRead(database, _HOLDING.where(_DEFAULT)), HotRead(database, _HOLDING.where(_NAMED))
        self._standings = HotRead(database, _STANDINGS)

    def cached(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Cached | None:
        """See the port."""
        row = _first(self._cached, user, provider_id, link_id, variant)
        if row is None:
            return None
        found, user_id, client_id, sealed, scopes, issued_at, expires_at, now = row
        context = access_context(found, user_id, provider_id, client_id, variant)
        value, extra = open_bound(self._vault, context, sealed)
        return Cached(found, provider_id, AccessToken(value, split_scopes(scopes), issued_at, expires_at, extra), now)

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        """See the port."""
        row = _first(self._holding, user, provider_id, link_id, variant)
        if row is None:
            return None
        found = to_link(row)
        sealed, scopes, issued_at, expires_at, now = row[len(LINK_COLUMNS) :]
        if sealed is None:
            return Holding(found, None, now)
        value, extra = open_access_token(self._vault, found, variant, sealed)
        return Holding(found, AccessToken(value, split_scopes(scopes), issued_at, expires_at, extra), now)

    def standings(self, user: Identity) -> Sequence[Standing]:
        """See the port."""
        wanted = {"issuer": user.issuer, "subject": user.subject, "variant": Asked().variant}
        return [
            Standing(to_link(row), issued_at is not None, expires_at, now)
            for row in self._standings.all(wanted)
            for issued_at, expires_at, now in [row[len(LINK_COLUMNS) :]]
        ]


def _first(
    reads: tuple[HotRead, HotRead], user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str
) -> Row | None:
    """The row of the default link by the first read, or of the named one by the second."""
    wanted = {"issuer": user.issuer, "subject": user.subject, "provider_id": provider_id, "variant": variant}
    of_default, of_named = reads
    return of_default.first(wanted) if link_id is None else of_named.first({**wanted, "link_id": link_id})

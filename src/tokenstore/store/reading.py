"""Reading links: the one indexed read behind every hand-out, and the list of a user's links.

Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, select, true

from tokenstore.core.model import AccessToken, Asked, Holding, Identity, LinkId, LinkState, ProviderId
from tokenstore.core.ports import Standing
from tokenstore.store.access_tokens import open_access_token, split_scopes
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.hot_read import HotRead, HotReads
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import LINK_COLUMNS, to_link
from tokenstore.store.tables import access_token, link, user_account
from tokenstore.vault.vault import Vault


def _links_of_user(*more: Any) -> Select[*tuple[Any, ...]]:
    """The links of the user `:issuer`, `:subject` that exist for that user, with this variant's access token."""
    variant = and_(access_token.c.link_id == link.c.id, access_token.c.variant == bindparam("variant"))
    return (
        select(*LINK_COLUMNS, *more, db_now())
        .select_from(user_account)
        .join(link, link.c.user_id == user_account.c.id)
        .outerjoin(access_token, variant)
        .where(
            user_account.c.issuer == bindparam("issuer"),
            user_account.c.subject == bindparam("subject"),
            user_account.c.disabled_at.is_(None),
            link.c.state != LinkState.REVOKED.value,
        )
    )


_WITH_TOKEN = _links_of_user(
    access_token.c.sealed, access_token.c.scopes, access_token.c.issued_at, access_token.c.expires_at
).where(link.c.provider_id == bindparam("provider_id"))
_READ_DEFAULT = _WITH_TOKEN.where(link.c.is_default == true())
_READ_ONE = _WITH_TOKEN.where(link.c.id == bindparam("link_id"))
_STANDINGS = _links_of_user(access_token.c.issued_at, access_token.c.expires_at).order_by(
    link.c.provider_id, link.c.is_default.desc(), link.c.linked_at, link.c.id
)


class LinkReads(LinkPart):
    """The reading part of the `LinkStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database, vault)
        reads = HotReads(database)
        self._read_default = HotRead(reads, _READ_DEFAULT)
        self._read_one = HotRead(reads, _READ_ONE)

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        """See the port."""
        wanted: dict[str, Any] = {
            "issuer": user.issuer,
            "subject": user.subject,
            "provider_id": provider_id,
            "variant": variant,
        }
        if link_id is None:
            row = self._read_default.first(wanted)
        else:
            row = self._read_one.first({**wanted, "link_id": link_id})
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
        with self._database.reading() as connection:
            rows = connection.execute(_STANDINGS, wanted).all()
        return [
            Standing(to_link(row), issued_at is not None, expires_at, now)
            for row in rows
            for issued_at, expires_at, now in [row[len(LINK_COLUMNS) :]]
        ]

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
            link.c.state != LinkState.REVOKED,
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


class LinkReads:
    """The reading part of the `LinkStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        """The user's default link at the provider, or the named one, with the variant's token if there is one."""
        wanted: dict[str, Any] = {
            "issuer": user.issuer,
            "subject": user.subject,
            "provider_id": provider_id,
            "variant": variant,
        }
        statement = _READ_DEFAULT
        if link_id is not None:
            statement = _READ_ONE
            wanted["link_id"] = link_id
        with self._database.reading() as connection:
            row = connection.execute(statement, wanted).first()
        if row is None:
            return None
        found = to_link(row)
        sealed, scopes, issued_at, expires_at, now = row[len(LINK_COLUMNS) :]
        if sealed is None:
            return Holding(found, None, now)
        value, extra = open_access_token(self._vault, found, variant, sealed)
        return Holding(found, AccessToken(value, split_scopes(scopes), issued_at, expires_at, extra), now)

    def standings(self, user: Identity) -> Sequence[Standing]:
        """The user's links that are not revoked, by provider, the default one first, then by age."""
        wanted = {"issuer": user.issuer, "subject": user.subject, "variant": Asked().variant}
        with self._database.reading() as connection:
            rows = connection.execute(_STANDINGS, wanted).all()
        return [
            Standing(to_link(row), issued_at is not None, expires_at, now)
            for row in rows
            for issued_at, expires_at, now in [row[len(LINK_COLUMNS) :]]
        ]

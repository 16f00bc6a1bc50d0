"""Which token of a link has to be revoked when the link lets go of it, and which must not be while it has it."""

from __future__ import annotations

import logging
from contextlib import suppress

from sqlalchemy import Connection, and_, or_, select

from tokenstore.core.model import Asked, Link, LinkState, ProviderId, UserId
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.access_tokens import open_access_token
from tokenstore.store.base import db_now
from tokenstore.store.link_rows import LINK_COLUMNS, current_context, previous_context, to_link
from tokenstore.store.tables import access_token, link
from tokenstore.vault.vault import Vault

_log = logging.getLogger(__name__)

PLAIN = Asked().variant

LIVING = and_(
    access_token.c.link_id == link.c.id,
    access_token.c.variant == PLAIN,
    or_(access_token.c.expires_at.is_(None), access_token.c.expires_at > db_now()),
)
"""Joins the plain access token of a link while it lives."""


def owed_token(vault: Vault, held: Link, refresh_sealed: bytes | None, access_sealed: bytes | None) -> Secret | None:
    """The token whose revocation ends what the provider gave; None if there is none. Raises KeyUnavailable.

    `access_sealed` is that of the LIVING access token.
    """
    if refresh_sealed is not None:
        return vault.open(refresh_sealed, current_context(held))
    if access_sealed is not None:
        return open_access_token(vault, held, PLAIN, access_sealed)[0]
    return None


def previous_token(vault: Vault, held: Link, previous_sealed: bytes | None) -> Secret | None:
    """The token of PREVIOUS, which has to be revoked, too; None also if it cannot be opened, which is logged."""
    if previous_sealed is None:
        return None
    try:
        return vault.open(previous_sealed, previous_context(held))
    except KeyUnavailable:
        log_lost(held)
        return None


def is_held(
    connection: Connection,
    vault: Vault,
    provider_id: ProviderId,
    client_id: str,
    user_id: UserId | None,
    token: Secret,
) -> bool:
    """Whether a link of the user's at this provider and client has this very token, so that revoking it ends the link.

    What cannot be opened counts as another.
    """
    rows = connection.execute(
        select(*LINK_COLUMNS, link.c.refresh_sealed, access_token.c.sealed.label("access_sealed"))
        .outerjoin_from(link, access_token, LIVING)
        .where(
            link.c.user_id == user_id,
            link.c.provider_id == provider_id,
            link.c.client_id == client_id,
            link.c.state != LinkState.REVOKED,
        )
    ).all()
    for row in rows:
        holder = to_link(row)
        for refresh_sealed, access_sealed in ((row.refresh_sealed, None), (None, row.access_sealed)):
            with suppress(KeyUnavailable):
                if owed_token(vault, holder, refresh_sealed, access_sealed) == token:
                    return True
    return False


def log_lost(held: Link) -> None:
    """Say that a token which should be revoked is let go because it cannot be opened."""
    _log.error(
        "a token to be revoked cannot be opened and is lost",
        extra={"provider": held.provider_id, "link": str(held.id)},
    )

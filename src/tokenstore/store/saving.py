"""What a refresh leaves behind: the write behind the fence, and what becomes of tokens that missed it.

Each is a compare-and-set on the link's version.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, select, update

from tokenstore.core.model import (
    AccessToken,
    Asked,
    AuditEvent,
    Lease,
    Link,
    LinkState,
    Provider,
    ProviderId,
    RotationKind,
    TokenSet,
)
from tokenstore.core.ports import Failure
from tokenstore.core.refusals import BROKEN, LOST, SUSPECTED, MassRefusal, Refusal, Verdict
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
from tokenstore.store.base import db_now, from_now
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import (
    FREE,
    HEALTHY,
    at_version,
    current_context,
    due_after,
    failed,
    held_by,
    previous_context,
    same_row,
    update_one,
)
from tokenstore.store.outbox import may_share_grant, queue_link_revocation, queue_stray
from tokenstore.store.quarantine import impose, is_given_up, is_quarantined, refuses_too_many
from tokenstore.store.tables import link, user_account
from tokenstore.store.unlinking import TOMBSTONE_FOR
from tokenstore.vault.vault import Vault

LONGEST_GRACE = timedelta(hours=24)
"""How long a replaced refresh token is kept at most."""

QUARANTINE_PAUSE = timedelta(hours=1)
"""When a link that was refused in quarantine may be the probe again."""


class LinkSaves(LinkPart):
    """The saving part of the `LinkStore` port."""

    def save_refreshed(
        self,
        lease: Lease,
        provider: Provider,
        tokens: TokenSet,
        asked: Asked,
        elapsed: timedelta,
        event: AuditEvent,
    ) -> AccessToken | None:
        """See the port."""
        saved = replace(lease.link, version=lease.version + 1)
        values: dict[str, Any] = {**HEALTHY, "last_refresh_at": db_now()}
        values |= self._rotated(lease, provider, tokens.refresh_token, elapsed) if tokens.refresh_token else {}
        values |= refresh_end(tokens, elapsed)
        if asked.nothing:
            values["due_at"] = due_after(provider, lease.link.id, tokens, elapsed)
        if asked.nothing and tokens.scopes is not None:
            values["scopes_granted"] = join_scopes(tokens.scopes)
        scopes = tokens.scopes if tokens.scopes is not None else asked.scopes or lease.link.scopes_granted
        sealed = seal_access_token(self._vault, saved, asked.variant, tokens)
        with self._database.writing() as connection:
            if not _advance(connection, lease, values):
                return None
            if provider.refresh_ends_access:
                drop_access_tokens(connection, lease.link.id)
            put_other_tokens(connection, self._vault, saved, tokens, elapsed)
            token = put_access_token(connection, saved, asked.variant, tokens, scopes, elapsed, sealed)
            insert_event(connection, replace(event, provider_id=lease.link.provider_id, link_id=lease.link.id))
        return token

    def save_rotation(
        self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta, failure: Failure
    ) -> bool:
        """See the port."""
        values = {**self._rotated(lease, provider, refresh_token, elapsed), "refresh_expires_at": None, "doubt": None}
        values |= failed(failure)
        with self._database.writing() as connection:
            return _advance(connection, lease, values)

    def settle_superseded(self, held: Link, provider: Provider, tokens: TokenSet) -> UUID | None:
        """Find a place for tokens that missed the fence; the outbox row, if that is it.

        The link was unlinked, or linked again with another client, or where revoking ends one token alone in any way:
        they are queued for revocation. Else they may belong to the same grant, so they are neither revoked nor put
        before the newer token, but kept as the previous one, which is older or gone. If they are the newer token, then
        the write that moved the link was ours, and they have their place.
        """
        self._vault.ready()
        columns = link.c
        wanted = select(
            *(columns.state, columns.provider_id, columns.client_id, columns.refresh_sealed, columns.grant_version)
        )
        with self._database.writing() as connection:
            row = connection.execute(wanted.where(same_row(held)).with_for_update(key_share=True)).first()
            if row is not None:
                # The provider may have got another id meanwhile, to which everything is bound now.
                held = replace(held, provider_id=ProviderId(row.provider_id))
            owed = tokens.refresh_token or tokens.access_token
            if row is None:
                return _queue_of_gone(connection, self._vault, held, provider, owed)
            if row.state == LinkState.REVOKED:
                connection.execute(update(link).where(same_row(held)).values(due_at=from_now(TOMBSTONE_FOR)))
            if row.state == LinkState.REVOKED or row.client_id != held.client_id:
                return queue_link_revocation(connection, self._vault, held, owed)
            late = tokens.refresh_token
            if late is not None and late != self._current(held, row.refresh_sealed):
                if not provider.revokes_grant and held.version < (row.grant_version or 0):
                    return queue_link_revocation(connection, self._vault, held, late)
                sealed = self._vault.seal(late, previous_context(held))
                kept = {"prev_sealed": sealed, "prev_until": from_now(LONGEST_GRACE)}
                connection.execute(update(link).where(same_row(held)).values(kept))
        return None

    def refuse(self, lease: Lease, refusal: Refusal, rule: MassRefusal, event: AuditEvent) -> Verdict | None:
        """See the port."""
        held = lease.link
        with self._database.writing() as connection:
            # What comes of a link that is asked again tells nothing new of its provider.
            first = refusal.final or held.state is not LinkState.SUSPECT
            mass = first and not is_given_up(connection, held) and refuses_too_many(connection, held, rule)
            believed = not mass and not is_quarantined(connection, held.provider_id)
            broken = believed and (refusal.final or held.state is LinkState.SUSPECT)
            state = LinkState.BROKEN if broken else LinkState.SUSPECT
            # In quarantine another link's turn comes first.
            retry_in = refusal.retry_in if believed else QUARANTINE_PAUSE
            values = {
                **FREE,
                "state": state,
                "prev_sealed": None,
                "prev_until": None,
                "next_try_at": None if broken else from_now(retry_in),
                "due_at": None if broken else from_now(retry_in),
                "last_error": refusal.code,
                "last_error_at": db_now(),
                "doubt": refusal.doubt or held.doubt,
            }
            if not update_one(connection, held_by(held, lease.owner), values):
                return None
            noted = replace(event, reason=refusal.code, provider_id=held.provider_id, link_id=held.id)
            insert_event(connection, replace(noted, action=(BROKEN if broken else SUSPECTED).action))
            if broken and values["doubt"] is not None:
                insert_event(connection, replace(noted, action=LOST.action, reason=values["doubt"]))
            quarantined = mass and not is_quarantined(connection, held.provider_id)
            if quarantined:
                impose(connection, held.provider_id, rule, noted)
        return Verdict(state, retry_in, quarantined)

    def _current(self, held: Link, sealed: bytes | None) -> Secret | None:
        """The current refresh token; None if there is none or it cannot be opened."""
        if sealed is not None:
            with suppress(KeyUnavailable):
                return self._vault.open(sealed, current_context(held))
        return None

    def _rotated(self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta) -> dict[str, Any]:
        """Columns that take a new refresh token in; the replaced one is kept where the provider may still take it."""
        values: dict[str, Any] = {
            "refresh_sealed": self._vault.seal(refresh_token, current_context(lease.link)),
            "prev_sealed": None,
            "prev_until": None,
        }
        grace = _grace(provider) - elapsed
        if grace > timedelta():
            values["prev_sealed"] = self._vault.seal(lease.refresh_token, previous_context(lease.link))
            values["prev_until"] = from_now(grace)
        return values


def refresh_end(tokens: TokenSet, elapsed: timedelta) -> dict[str, ColumnElement[datetime] | None]:
    """The column that says when the refresh token ends: as told; unknown for a new one of which nothing was told."""
    if tokens.refresh_expires_in is not None:
        return {"refresh_expires_at": from_now(tokens.refresh_expires_in - elapsed)}
    if tokens.refresh_token is not None or tokens.refresh_never_expires:
        return {"refresh_expires_at": None}
    return {}


def _queue_of_gone(connection: Connection, vault: Vault, held: Link, provider: Provider, token: Secret) -> UUID | None:
    """Queue a token of a link whose row is gone, unless that could end another link's grant; the row's id.

    It happens under the lock of the user's row, like linking.
    """
    connection.execute(
        select(user_account.c.id).where(user_account.c.id == held.user_id).with_for_update(key_share=True)
    )
    at = (held.provider_id, held.client_id, held.user_id)
    if provider.revokes_grant and may_share_grant(connection, *at, held.account):
        return None
    return queue_stray(connection, vault, *at, token)


def _grace(provider: Provider) -> timedelta:
    """How long a replaced refresh token may still work; zero where it must not be sent again."""
    match provider.rotation.kind:
        case RotationKind.KEEP_OLD:
            return LONGEST_GRACE
        case RotationKind.GRACE:
            return min(provider.rotation.grace, LONGEST_GRACE)
        case RotationKind.NONE | RotationKind.STRICT:
            return timedelta()


def _advance(connection: Connection, lease: Lease, values: dict[str, Any]) -> bool:
    """Write if the version is the lease's. The owner does not count: nobody changed the row, so ours is newest."""
    moved = {**FREE, "state": LinkState.ACTIVE, "version": link.c.version + 1}
    return update_one(connection, at_version(lease.link), {**moved, **values})

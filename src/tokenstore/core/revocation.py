"""Paying what is owed to providers: revoking tokens that were unlinked or never kept (RFC 7009), with a receipt."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from tokenstore.core.model import (
    DEADLINE,
    Account,
    Asked,
    AuditEvent,
    Granted,
    Identity,
    Provider,
    ProviderId,
    RevocationResult,
    Unclear,
)
from tokenstore.core.places import Places
from tokenstore.core.ports import Debt, Outbox, PendingRevocation, ProviderClient
from tokenstore.core.registry import Registry
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, ProviderUnavailable, StorageUnavailable, TokenStoreError

log = logging.getLogger(__name__)

CLAIM = 3 * DEADLINE + timedelta(seconds=24)
"""How long one worker keeps an outbox row to itself: for a token refused, one spent for it and that one revoked.

And for what the database takes meanwhile: a row that another takes too early may be spent or revoked twice.
"""

RETRY = timedelta(minutes=1)
"""When a failed revocation is due again, doubled with every attempt up to a day."""

WAITS = timedelta(hours=1)
"""How often, at least, one is looked at that has to wait for others: nobody says when they are gone."""

HELD = timedelta(minutes=11)
"""How long nothing of a user's is revoked where they link again: longer than received tokens wait for their word."""

PATIENCE_SECONDS = 2.0
"""How long a linking waits for a revocation that is under way; it has a place at the provider meanwhile."""

_LOOK_EVERY = 0.1


class Revoker:
    """Settles outbox rows by provider calls, no database connection held meanwhile.

    places: one is taken by whoever is told at once what became of it; `settle` and `settle_next` need none.
    patience_seconds: how long `make_way` waits.
    """

    def __init__(
        self,
        registry: Registry,
        outbox: Outbox,
        client: ProviderClient,
        places: Places,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._registry = registry
        self._outbox = outbox
        self._client = client
        self._patience_seconds = patience_seconds
        self._places = places

    def make_way(self, provider: Provider, user: Identity) -> None:
        """Before a grant is received: let no earlier revocation end it, where revoking one token ends the whole grant.

        What is owed is put off; the linking drops what is of its own account. What is being revoked already is waited
        for, `patience_seconds` at most. Raises ProviderUnavailable if it goes on, StorageUnavailable.
        """
        if not provider.revokes_grant:
            return
        ends = time.monotonic() + self._patience_seconds
        while (left := self._outbox.hold(provider, user, HELD)) is not None:
            if time.monotonic() >= ends:
                raise being_revoked(left)
            time.sleep(_LOOK_EVERY)

    def settle(self, outbox_id: UUID) -> RevocationResult:
        """Revoke upstream and say what came of it. Never raises.

        QUEUED: the row stays and is due again later. FAILED: it can never be paid and is dropped.
        """
        try:
            return self._settle(outbox_id)
        except (StorageUnavailable, KeyUnavailable) as error:
            log.warning("a revocation stays queued", extra={"outbox": str(outbox_id), "because": error.slug})
            return RevocationResult.QUEUED

    def settle_all(self, debts: Iterable[Debt]) -> Mapping[UUID, RevocationResult]:
        """`settle` one after the other, by row. A provider that left one queued is not asked about its others.

        They stay queued, too, so that one that hangs is waited for once. So do those of a provider at which no place
        is free. Never raises.
        """
        results: dict[UUID, RevocationResult] = {}
        unwilling: set[ProviderId] = set()
        for debt in debts:
            asked = debt.provider_id not in unwilling
            results[debt.id] = self._settle_if_room(debt) if asked else RevocationResult.QUEUED
            if results[debt.id] is RevocationResult.QUEUED:
                unwilling.add(debt.provider_id)
        return results

    def give_back(self, provider: Provider, user: Identity, token: Secret, account: Account | None = None) -> None:
        """Revoke what was received for a link that was not made; what cannot be done now stays queued. Never raises.

        `account`: whose token it is, if that is known. Nothing is revoked where that could end a stored link.
        """
        try:
            self.owe(provider, user, token, account)
        except TokenStoreError as error:
            log.warning("received tokens could not be queued for revocation", extra={"because": error.slug})

    def owe(self, provider: Provider, user: Identity, token: Secret, account: Account | None) -> None:
        """`give_back` for who can try again. Raises StorageUnavailable, KeyUnavailable; nothing is queued then."""
        outbox_id = self._outbox.queue_revocation(provider, user, token, account)
        if outbox_id is None:
            log.info("received tokens are let go: a link may rest on their grant", extra={"provider": provider.id})
        else:
            self._settle_if_room(Debt(outbox_id, provider.id))

    def settle_next(self, apart: Collection[ProviderId] = ()) -> tuple[ProviderId, RevocationResult | None] | None:
        """Revoke the token that has been due for longest, but none of the providers in `apart`; what came of it.

        No result: the provider was not called, as the token has to wait for others (`_is_shared`), and is put off.
        None: no token is due. Raises StorageUnavailable, KeyUnavailable; what was claimed then is due again when the
        claim ends.
        """
        for pending in self._outbox.claim_due(1, CLAIM, apart):
            if not self._is_shared(pending):
                return pending.provider_id, self._pay(pending)
            self._put_off(pending, WAITS)
            return pending.provider_id, None
        return None

    def give_up(self, limit: int) -> int:
        """Drop up to `limit` tokens that could not be revoked for days; how many. Raises StorageUnavailable."""
        return self._outbox.give_up(limit, AuditEvent("revocation.given-up", "failure"))

    def _settle_if_room(self, debt: Debt) -> RevocationResult:
        with self._places.enter(debt.provider_id) as admitted:
            return self.settle(debt.id) if admitted else RevocationResult.QUEUED

    def _settle(self, outbox_id: UUID) -> RevocationResult:
        pending = self._outbox.claim(outbox_id, CLAIM)
        if pending is None:
            return RevocationResult.QUEUED
        return self._put_off(pending, WAITS) if self._is_shared(pending) else self._pay(pending)

    def _is_shared(self, pending: PendingRevocation) -> bool:
        """Whether the revocation has to wait: it would end a grant that others rest on. Asked just before the call."""
        provider = self._registry.find(pending.provider_id)
        if provider is None or provider.client_id != pending.client_id:
            return False
        return provider.revokes_grant and self._outbox.is_shared(pending.id)

    def _put_off(self, pending: PendingRevocation, longest: timedelta = timedelta(days=1)) -> RevocationResult:
        self._outbox.postpone(pending.id, min(RETRY * 2 ** min(pending.attempts, 12), longest))
        return RevocationResult.QUEUED

    def _pay(self, pending: PendingRevocation) -> RevocationResult:
        provider = self._registry.find(pending.provider_id)
        if provider is not None and provider.client_id != pending.client_id:
            # Another client's token would be refused, or worse, confirmed (RFC 7009 section 2.2).
            self._outbox.done(pending.id)
            return RevocationResult.FAILED
        # One that is offered no more may be offered again, as the same client.
        result = RevocationResult.FAILED if provider is None else self._revoke(provider, pending)
        if result in (RevocationResult.CONFIRMED, RevocationResult.UNSUPPORTED):
            self._outbox.done(pending.id)
            return result
        return self._put_off(pending)

    def _revoke(self, provider: Provider, pending: PendingRevocation) -> RevocationResult:
        result = self._call(provider, pending.token)
        if result is RevocationResult.FAILED and provider.revokes_by_access_token:
            return self._revoke_by_spending(provider, pending)
        return result

    def _revoke_by_spending(self, provider: Provider, pending: PendingRevocation) -> RevocationResult:
        """Spend what was refused as a refresh token, for an access token that can be revoked.

        A refresh token that comes in its place is owed from then on, before anything else is done.
        """
        try:
            outcome = self._client.refresh(provider, pending.token, Asked(), frozenset())
        except TokenStoreError as error:
            return _failed(provider, error)
        if isinstance(outcome, Granted):
            kept = self._exchanged(pending, outcome.tokens.refresh_token)
            result = self._call(provider, outcome.tokens.access_token)
            if not kept and result is not RevocationResult.CONFIRMED:
                self._exchanged(pending, outcome.tokens.refresh_token)
            return result
        if isinstance(outcome, Unclear):
            self._exchanged(pending, outcome.refresh_token)
        return RevocationResult.FAILED

    def _exchanged(self, pending: PendingRevocation, token: Secret | None) -> bool:
        """Whether the row holds the token that has to be revoked or spent next."""
        if token is None or token == pending.token:
            return True
        try:
            self._outbox.exchange(pending.id, token, CLAIM)
        except (StorageUnavailable, KeyUnavailable) as error:
            log.error("a token to be revoked was spent and its successor not kept", extra={"because": error.slug})  # noqa: TRY400  (the slug says it)
            return False
        return True

    def _call(self, provider: Provider, token: Secret) -> RevocationResult:
        try:
            return self._client.revoke(provider, token)
        except TokenStoreError as error:
            return _failed(provider, error)


def being_revoked(left: timedelta = timedelta(seconds=5)) -> ProviderUnavailable:
    """What a linking is told whose grant could be ended by a revocation under way, for so long at most."""
    return ProviderUnavailable(
        "The provider is still being told to end an earlier link. Start again in a moment.",
        retry_after=max(left, timedelta(seconds=1)),
        debug="revocation-under-way",
    )


def _failed(provider: Provider, error: TokenStoreError) -> RevocationResult:
    log.warning("a token could not be revoked", extra={"provider": provider.id, "because": error.slug})
    return RevocationResult.FAILED

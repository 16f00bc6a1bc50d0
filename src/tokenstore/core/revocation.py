"""Paying what is owed to providers: revoking tokens that were unlinked or never kept (RFC 7009), with a receipt."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from tokenstore.core.model import Account, Identity, Provider, RevocationResult
from tokenstore.core.ports import Outbox, PendingRevocation, ProviderClient
from tokenstore.core.registry import Registry
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, StorageUnavailable, TokenStoreError, UnknownProvider

log = logging.getLogger(__name__)

CLAIM = timedelta(seconds=30)
"""How long one worker keeps an outbox row to itself; longer than a whole provider call."""

RETRY = timedelta(minutes=1)
"""When a failed revocation is due again, doubled with every attempt up to a day."""


class Revoker:
    """Settles one outbox row with one provider call, no database connection held meanwhile."""

    def __init__(self, registry: Registry, outbox: Outbox, client: ProviderClient) -> None:
        self._registry = registry
        self._outbox = outbox
        self._client = client

    def settle(self, outbox_id: UUID) -> RevocationResult:
        """Revoke upstream and say what came of it. Never raises.

        QUEUED: the row stays and is due again later. FAILED: it can never be paid and is dropped.
        """
        try:
            return self._settle(outbox_id)
        except (StorageUnavailable, KeyUnavailable) as error:
            log.warning("a revocation stays queued", extra={"outbox": str(outbox_id), "because": error.slug})
            return RevocationResult.QUEUED

    def give_back(self, provider: Provider, user: Identity, token: Secret, account: Account | None = None) -> None:
        """Revoke what was received for a link that was not made; what cannot be done now stays queued. Never raises.

        `account`: whose token it is, if that is known. Nothing is revoked where that could end a stored link.
        """
        try:
            outbox_id = self._outbox.queue_revocation(provider, user, token, account)
        except TokenStoreError as error:
            log.warning("received tokens could not be queued for revocation", extra={"because": error.slug})
            return
        if outbox_id is None:
            log.info("received tokens are let go: a link may rest on their grant", extra={"provider": provider.id})
        else:
            self.settle(outbox_id)

    def _settle(self, outbox_id: UUID) -> RevocationResult:
        pending = self._outbox.claim(outbox_id, CLAIM)
        if pending is None:
            return RevocationResult.QUEUED
        if self._is_of_former_client(pending):
            # Another client's token would be refused, or worse, confirmed (RFC 7009 section 2.2).
            self._outbox.done(pending.id)
            return RevocationResult.FAILED
        result = self._revoke(pending)
        if result in (RevocationResult.CONFIRMED, RevocationResult.UNSUPPORTED):
            self._outbox.done(pending.id)
            return result
        self._outbox.postpone(pending.id, min(RETRY * 2 ** min(pending.attempts, 12), timedelta(days=1)))
        return RevocationResult.QUEUED

    def _is_of_former_client(self, pending: PendingRevocation) -> bool:
        with suppress(UnknownProvider):  # who may be configured again, as the same client
            return self._registry.get(pending.provider_id).client_id != pending.client_id
        return False

    def _revoke(self, pending: PendingRevocation) -> RevocationResult:
        try:
            return self._client.revoke(self._registry.get(pending.provider_id), pending.token)
        except TokenStoreError as error:
            log.warning("a token could not be revoked", extra={"provider": pending.provider_id, "because": error.slug})
            return RevocationResult.FAILED

"""Paying what is owed to providers: revoking tokens that were unlinked (RFC 7009), with a receipt."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from tokenstore.core.model import RevocationResult
from tokenstore.core.ports import Outbox, PendingRevocation, ProviderClient
from tokenstore.core.registry import Registry
from tokenstore.errors import KeyUnavailable, StorageUnavailable, TokenStoreError

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
        """Revoke upstream and say what came of it. QUEUED: the row stays and is due again later. Never raises."""
        try:
            return self._settle(outbox_id)
        except (StorageUnavailable, KeyUnavailable) as error:
            log.warning("a revocation stays queued", extra={"outbox": str(outbox_id), "because": error.slug})
            return RevocationResult.QUEUED

    def _settle(self, outbox_id: UUID) -> RevocationResult:
        pending = self._outbox.claim(outbox_id, CLAIM)
        if pending is None:
            return RevocationResult.QUEUED
        result = self._revoke(pending)
        if result in (RevocationResult.CONFIRMED, RevocationResult.UNSUPPORTED):
            self._outbox.done(pending.id)
            return result
        self._outbox.postpone(pending.id, min(RETRY * 2 ** min(pending.attempts, 12), timedelta(days=1)))
        return RevocationResult.QUEUED

    def _revoke(self, pending: PendingRevocation) -> RevocationResult:
        try:
            provider = self._registry.get(pending.provider_id)
            if provider.client_id != pending.client_id:
                # Another client's token would be refused, or worse, confirmed (RFC 7009 section 2.2).
                return RevocationResult.FAILED
            return self._client.revoke(provider, pending.token)
        except TokenStoreError as error:
            log.warning("a token could not be revoked", extra={"provider": pending.provider_id, "because": error.slug})
            return RevocationResult.FAILED

"""Unlinking accounts, with a receipt of what became of their tokens at the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tokenstore.core.model import AuditEvent, Caller, Link, LinkId, RevocationResult
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LinkStore, Unlinked
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker


@dataclass(frozen=True, slots=True)
class Receipt:
    """An unlinked account and what became of its tokens at the provider."""

    link: Link
    upstream: RevocationResult


class UnlinkingService:
    """Disconnects users from accounts at providers."""

    def __init__(self, registry: Registry, policy: Policy, links: LinkStore, revoker: Revoker) -> None:
        self._registry = registry
        self._policy = policy
        self._links = links
        self._revoker = revoker

    def unlink(
        self, caller: Caller, *, provider_id: str | None = None, link_id: LinkId | None = None
    ) -> Sequence[Receipt]:
        """Remove one link (`link_id`) or all of the caller's links at a provider; from then on nothing is handed out.

        Then each refresh token is revoked upstream by one call; what failed stays queued, and the rest of that
        provider's with it, so that a provider that hangs is waited for once. Empty: nothing was linked.
        Raises UnknownProvider, PolicyDenied, StorageUnavailable.
        """
        provider = self._registry.get(provider_id) if provider_id is not None else None
        self._policy.require(caller, caller.identity, Action.UNLINK, provider)
        event = AuditEvent("link.removed", "success", caller, caller.identity)
        removed = self._links.unlink(caller.identity, provider.id if provider else None, link_id, event)
        debts = [one.debt for one in removed if one.debt is not None]
        results = self._revoker.settle_all(debt for debt in debts if self._registry.find(debt.provider_id))
        return [Receipt(one.link, _upstream(one, results)) for one in removed]


def _upstream(unlinked: Unlinked, results: Mapping[UUID, RevocationResult]) -> RevocationResult:
    """What a receipt says. UNSUPPORTED also of a provider that is not offered any more, should it come back or not."""
    if unlinked.lost:
        return RevocationResult.FAILED
    if unlinked.debt is None:
        return RevocationResult.UNSUPPORTED
    return results.get(unlinked.debt.id, RevocationResult.UNSUPPORTED)

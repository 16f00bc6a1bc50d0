"""What a user has: every provider with its links and their state in one word. Pure decisions on one read.

Links stay when their provider is not offered any more; their owner must be able to see them and to be rid of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tokenstore.core.finding import find_standing
from tokenstore.core.gate import Gate
from tokenstore.core.model import Caller, Link, LinkId, LinkState, Provider, ProviderId
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LinkStore, QuarantineStore, Standing
from tokenstore.core.registry import Registry

EXPIRING = timedelta(days=7)
"""A link whose refresh token ends within this time asks to be renewed."""


class Status(StrEnum):
    """State of a link, or of a provider's default link, in the API's words."""

    OK = "ok"
    EXPIRING = "expiring"
    CHECKING = "checking"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    NOT_LINKED = "not_linked"
    UNAVAILABLE = "unavailable"
    NOT_OFFERED = "not_offered"


USABLE = frozenset({Status.OK, Status.EXPIRING, Status.CHECKING})


class ScopeStatus(StrEnum):
    """How a link's scopes compare with what was requested and with what is configured now."""

    OK = "ok"
    NARROWER = "narrower"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class LinkOverview:
    """One link and its status. `new_scopes`: configured since it was linked, so that they were not asked for yet."""

    standing: Standing
    status: Status
    scope_status: ScopeStatus
    new_scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ProviderOverview:
    """A provider, its links (default first), and what their default says about it."""

    provider: Provider
    links: Sequence[LinkOverview]
    status: Status
    scope_status: ScopeStatus

    @property
    def active(self) -> bool:
        """Whether the default link can be used."""
        return self.status in USABLE


@dataclass(frozen=True, slots=True)
class Overview:
    """All providers in configured order, and the links at others, which are not offered any more."""

    providers: Sequence[ProviderOverview]
    left: Sequence[LinkOverview]

    @property
    def links(self) -> Sequence[LinkOverview]:
        """Every link, wherever it is."""
        return [*(link for provider in self.providers for link in provider.links), *self.left]


class OverviewService:
    """Lists providers with the caller's links."""

    def __init__(
        self, registry: Registry, policy: Policy, links: LinkStore, gate: Gate, quarantines: QuarantineStore
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._links = links
        self._gate = gate
        self._quarantines = quarantines

    def providers(self, caller: Caller) -> Sequence[Provider]:
        """All providers in configured order; no link is read. Raises PolicyDenied."""
        self._policy.require(caller, caller.identity, Action.LIST)
        return tuple(self._registry)

    def find(self, caller: Caller, link_id: LinkId) -> Link:
        """The caller's link of this id, by one read. Raises NotFound, PolicyDenied, StorageUnavailable."""
        self._policy.require(caller, caller.identity, Action.LIST)
        return find_standing(self._links, caller.identity, link_id).link

    def one(self, caller: Caller, link_id: LinkId) -> LinkOverview:
        """The same with its status."""
        self._policy.require(caller, caller.identity, Action.LIST)
        standing = find_standing(self._links, caller.identity, link_id)
        provider = self._registry.find(standing.link.provider_id)
        if provider is None:
            return left_overview(standing)
        return link_overview(provider, standing, paused=provider.id in self._paused())

    def everything(self, caller: Caller) -> Overview:
        """All providers and all of the caller's links. Raises PolicyDenied, StorageUnavailable."""
        self._policy.require(caller, caller.identity, Action.LIST)
        standings = self._links.standings(caller.identity)
        paused = self._paused()
        providers = [
            provider_overview(
                provider,
                [one for one in standings if one.link.provider_id == provider.id],
                paused=provider.id in paused,
            )
            for provider in self._registry
        ]
        left = [left_overview(one) for one in standings if self._registry.find(one.link.provider_id) is None]
        return Overview(providers, left)

    def authorizations(self, caller: Caller) -> Sequence[ProviderOverview]:
        """All providers in configured order. Raises as `everything` does."""
        return self.everything(caller).providers

    def _paused(self) -> Collection[ProviderId]:
        """The providers that give no fresh tokens now: left alone by this process, or in quarantine."""
        left_alone = {provider.id for provider in self._registry if self._gate.pause(provider.id) is not None}
        return left_alone | set(self._quarantines.quarantined())


def provider_overview(provider: Provider, standings: Sequence[Standing], *, paused: bool = False) -> ProviderOverview:
    """The overview of one provider from the user's links there, the default one first.

    `paused`: it gives no fresh tokens at present.
    """
    links = [link_overview(provider, standing, paused=paused) for standing in standings]
    default = next((link for link in links if link.standing.link.is_default), None)
    if default is None:
        return ProviderOverview(provider, links, Status.NOT_LINKED, ScopeStatus.OK)
    return ProviderOverview(provider, links, default.status, default.scope_status)


def link_overview(provider: Provider, standing: Standing, *, paused: bool) -> LinkOverview:
    """The overview of one link."""
    new_scopes = [scope for scope in provider.scopes if scope not in standing.link.scopes_requested]
    status = link_status(provider, standing, paused=paused)
    return LinkOverview(standing, status, scope_status(provider, standing), new_scopes)


def left_overview(standing: Standing) -> LinkOverview:
    """The overview of a link whose provider is not offered any more; nothing is asked for there."""
    return LinkOverview(standing, Status.NOT_OFFERED, ScopeStatus.OK, ())


def link_status(provider: Provider, standing: Standing, *, paused: bool = False) -> Status:
    """Whether the link will go on giving tokens, as people should be told.

    A caller may fare better: an access token that still lives is given out whatever this says.
    """
    link, now = standing.link, standing.now
    alive = standing.has_access_token and (standing.access_expires_at is None or standing.access_expires_at > now)
    renewable = link.has_refresh_token and provider.refreshes and link.client_id == provider.client_id
    refreshable = renewable and link.state is not LinkState.BROKEN
    if not refreshable:
        return Status.OK if alive and link.state is not LinkState.BROKEN else Status.REAUTHORIZATION_REQUIRED
    ends = link.refresh_expires_at
    over = not alive and ends is not None and ends <= now
    if paused and not alive and not over:
        return Status.UNAVAILABLE
    if link.state is LinkState.SUSPECT:
        return Status.CHECKING
    if over:
        return Status.REAUTHORIZATION_REQUIRED
    if not alive and link.next_try_at is not None and link.next_try_at > now:
        return Status.UNAVAILABLE
    return Status.EXPIRING if ends is not None and ends - now < EXPIRING else Status.OK


def scope_status(provider: Provider, standing: Standing) -> ScopeStatus:
    """outdated: more is configured now than was requested at linking; narrower: less was granted than requested.

    `offline_access` does not count as missing: many providers grant it without naming it in the answer.
    """
    link = standing.link
    if not link.scopes_requested >= frozenset(provider.scopes):
        return ScopeStatus.OUTDATED
    missing = link.scopes_requested - link.scopes_granted - {"offline_access"}
    return ScopeStatus.NARROWER if missing else ScopeStatus.OK

"""Handing out access tokens: from the cache where it is fresh enough, else from a refresh.

Owns freshness and waiting. Who may have a token is `policy`'s decision, how one is refreshed is in `refresh`.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import timedelta

from tokenstore.core.allowance import Allowance
from tokenstore.core.due import margin
from tokenstore.core.flight import Flight, Flights, Full, StillFlying
from tokenstore.core.gate import Gate
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import AccessToken, Asked, Cached, Caller, HandOut, Holding, LinkId, Provider
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LinkStore
from tokenstore.core.refresh import Errand, Refresher, obstacle
from tokenstore.core.refresh.obstacles import paused
from tokenstore.core.registry import Registry
from tokenstore.core.usage import Usage
from tokenstore.errors import (
    NotLinked,
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshInProgress,
    ScopeNotGranted,
    TokenStoreError,
)

log = logging.getLogger(__name__)

MIN_VALID = timedelta(seconds=60)
"""How long a token must be good for when the caller does not say."""

LAST_RESORT = timedelta(seconds=5)
"""A token with less life than this is not worth handing out when a better one cannot be had."""

FORCE_INTERVAL = timedelta(seconds=30)
"""A forced refresh is answered from one that is younger than this."""

PLAIN = Asked().variant
"""The variant of callers who ask for nothing special."""

TokenFlights = Flights[LinkId, AccessToken]
"""Refreshes under way in this process, one per link whatever the variant: all share its refresh token."""


class TokenService:
    """Gives callers fresh access tokens. wait_seconds: longest a caller waits, from the start of the flight."""

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        links: LinkStore,
        refresher: Refresher,
        flights: TokenFlights,
        gate: Gate,
        usage: Usage,
        metrics: Metrics,
        *,
        wait_seconds: float,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._links = links
        self._refresher = refresher
        self._flights = flights
        self._gate = gate
        self._usage = usage
        self._metrics = metrics
        self._wait_seconds = wait_seconds
        self._allowance = Allowance()

    def fresh_token(
        self,
        caller: Caller,
        provider_id: str,
        *,
        link_id: LinkId | None = None,
        asked: Asked = Asked(),
        min_valid: timedelta = MIN_VALID,
        force: bool = False,
        may_refresh: bool = True,
    ) -> HandOut:
        """An access token of the caller's link that is good for `min_valid`, or half its lifetime if that is less.

        `force`: one issued after this request began, at most one refresh per link in 30 s. `may_refresh` False: no
        provider call is made. How often another variant than the plain one is fetched, `Allowance` limits. As long as
        a valid token exists it is handed out, whatever the state of the link.

        Raises UnknownProvider, PolicyDenied, NotLinked, ScopeNotGranted, ReauthorizationRequired, RefreshInProgress,
        ProviderUnavailable, ProviderMisconfigured, KeyUnavailable, StorageUnavailable.
        """
        provider = self._allowed(caller, provider_id)
        if asked.nothing and not force and (found := self._resting(caller, provider, link_id, min_valid)):
            return found
        holding = self._read(caller, provider, link_id, asked)
        check_asked(provider, holding, asked)
        force = force and not recently_refreshed(holding)
        if not force and fresh_enough(holding, min_valid):
            if may_refresh and wants_refresh_ahead(provider, holding):
                with suppress(RefreshInProgress, ProviderUnavailable, ProviderMisconfigured, ScopeNotGranted):
                    self._flight(caller, provider, holding, asked)
            return self._hand_out(holding, cached=True)
        try:
            problem = obstacle(provider, holding)
            if problem is not None:
                raise problem
            if not may_refresh:
                raise RefreshInProgress("No fresh token is at hand; a GET request fetches one.")
            if not force and leased(holding) and has_life(holding):
                return self._hand_out(holding, cached=True)
            return self._refreshed(caller, provider, holding, asked)
        except TokenStoreError as error:
            if not has_life(holding) or (force and holding.link.has_refresh_token and provider.refreshes):
                raise
            # Read again: time has passed, and what was unlinked meanwhile is not handed out.
            present = self._read(caller, provider, holding.link.id, asked)
            if not has_life(present):
                raise
            log.info("handing out the present token", extra={"link": str(present.link.id), "because": error.slug})
            return self._hand_out(present, cached=True)

    def _read(self, caller: Caller, provider: Provider, link_id: LinkId | None, asked: Asked) -> Holding:
        holding = self._links.read(caller.identity, provider.id, link_id, asked.variant)
        if holding is None:
            raise NotLinked("No account is linked here. Open authorize_url and link one.", provider_id=provider.id)
        return holding

    def _flight(self, caller: Caller, provider: Provider, holding: Holding, asked: Asked) -> Flight[AccessToken]:
        pause = self._gate.pause(provider.id)
        if pause is not None:
            raise paused(provider, pause)
        seen = holding.token.issued_at if holding.token else None
        errand = Errand(provider, caller, holding.link, asked, seen)
        bring = self._refresher.bring
        if not asked.nothing:
            self._allowance.require(holding.link, asked.variant)
            bring = self._bring_variant
        try:
            return self._flights.join(holding.link.id, lambda: bring(errand), asked.variant, provider.id)
        except Full:
            raise too_many_under_way() from None
        except RuntimeError as error:
            raise RefreshInProgress("No refresh can be started just now. Ask again.", debug=str(error)) from error

    def _bring_variant(self, errand: Errand) -> AccessToken:
        link, variant = errand.link, errand.asked.variant
        try:
            token = self._refresher.bring(errand)
        except ScopeNotGranted as refusal:
            self._allowance.spend(link)
            self._allowance.refused(link, variant, refusal)
            raise
        else:
            self._allowance.spend(link)  # not for what only waited: others had the lease, or the provider is away
            return token

    def _refreshed(self, caller: Caller, provider: Provider, before: Holding, asked: Asked) -> HandOut:
        """Join or start the link's flight and hand out what it brought."""
        arrived = time.monotonic()
        try:
            return self._hand_out(self._after_flight(caller, provider, before, asked, arrived), cached=False)
        finally:
            self._metrics.waited(provider.id, time.monotonic() - arrived)

    def _after_flight(
        self, caller: Caller, provider: Provider, before: Holding, asked: Asked, arrived: float
    ) -> Holding:
        """What there is after the flight, read again, so that nothing is handed out after an unlink."""
        while True:
            flight = self._flight(caller, provider, before, asked)
            try:
                # Never longer than from the caller's arrival either: another variant's flight may have come first.
                self._flights.result(flight, self._wait_seconds + min(0.0, arrived - flight.started))
            except StillFlying:
                raise still_under_way() from None
            except ScopeNotGranted:
                if flight.variant == asked.variant:
                    raise
            after = self._read(caller, provider, before.link.id, asked)
            if is_newer(after, before):
                return after

    def resting(self, caller: Caller, provider_id: str) -> HandOut | None:
        """The token of the caller's default link, if it is good and needs no refresh soon; None: ask `fresh_token`.

        Raises UnknownProvider, PolicyDenied, KeyUnavailable, StorageUnavailable.
        """
        return self._resting(caller, self._allowed(caller, provider_id), None, MIN_VALID)

    def _allowed(self, caller: Caller, provider_id: str) -> Provider:
        provider = self._registry.get(provider_id)
        self._policy.require(caller, caller.identity, Action.TOKEN, provider)
        return provider

    def _resting(
        self, caller: Caller, provider: Provider, link_id: LinkId | None, min_valid: timedelta
    ) -> HandOut | None:
        cached = self._links.cached(caller.identity, provider.id, link_id, PLAIN)
        if cached is None or not rests(provider, cached, min_valid):
            return None
        return self._hand_out(cached, cached=True)

    def _hand_out(self, holding: Holding | Cached, *, cached: bool) -> HandOut:
        given = handed_out(holding, cached=cached)
        self._usage.note(holding.link_id)
        self._metrics.handed_out(holding.provider_id, cached=cached)
        return given


def still_under_way() -> RefreshInProgress:
    """The answer to a caller whose waiting time is over."""
    return RefreshInProgress(
        "The provider has not answered yet; the refresh goes on. Ask again.", retry_after=timedelta(seconds=1)
    )


def too_many_under_way() -> RefreshInProgress:
    """The answer to a caller whose refresh is not begun because others have to end first."""
    return RefreshInProgress(
        "Too many refreshes are under way at this provider. Ask again.", retry_after=timedelta(seconds=1)
    )


def is_newer(after: Holding, before: Holding) -> bool:
    """Whether `after` has a token that `before` had not."""
    if after.token is None:
        return False
    return before.token is None or after.token.issued_at > before.token.issued_at


def handed_out(holding: Holding | Cached, *, cached: bool) -> HandOut:
    """The hand-out of the token that a read found. Raises ValueError if it found none."""
    if holding.token is None:
        raise ValueError("there is no token to hand out")
    left = holding.token.left(holding.now)
    return HandOut(holding.link_id, holding.token, None if left is None else max(left, timedelta()), cached)


def rests(provider: Provider, cached: Cached, min_valid: timedelta) -> bool:
    """Whether the token is fresh enough and need not be replaced in the background: most are, and need no more."""
    return fresh_enough(cached, min_valid) and cached.token.fresh_for(
        margin(provider, cached.link_id, cached.token.lifetime), cached.now
    )


def fresh_enough(holding: Holding | Cached, min_valid: timedelta) -> bool:
    """Whether the token lives on for `min_valid`, or for half its lifetime if that is less."""
    token = holding.token
    if token is None:
        return False
    enough = min_valid if token.lifetime is None else min(min_valid, token.lifetime / 2)
    return token.fresh_for(enough, holding.now)


def has_life(holding: Holding) -> bool:
    """Whether the token is worth handing out when a better one cannot be had."""
    token = holding.token
    if token is None:
        return False
    least = LAST_RESORT if token.lifetime is None else min(LAST_RESORT, token.lifetime / 10)
    return token.fresh_for(least, holding.now)


def wants_refresh_ahead(provider: Provider, holding: Holding) -> bool:
    """Whether a token that is still good should be replaced in the background."""
    token = holding.token
    if token is None or token.fresh_for(margin(provider, holding.link_id, token.lifetime), holding.now):
        return False
    return obstacle(provider, holding) is None and not leased(holding)


def leased(holding: Holding) -> bool:
    """Whether somebody is refreshing the link right now."""
    until = holding.link.lease_until
    return until is not None and until > holding.now


def recently_refreshed(holding: Holding) -> bool:
    """Whether a forced refresh would come too soon after the last one."""
    last = holding.link.last_refresh_at
    return last is not None and holding.token is not None and holding.now - last < FORCE_INTERVAL


def check_asked(provider: Provider, holding: Holding, asked: Asked) -> None:
    """Raise ScopeNotGranted unless the scope asked for lies within the granted one and audiences can be asked for."""
    missing = asked.scopes - holding.link.scopes_granted
    if missing:
        names, offered = ", ".join(sorted(missing)), missing <= frozenset(provider.scopes)
        mend = "Link the account again" if offered else f"Ask the operator to add it to SCOPE of {provider.id!r}"
        raise ScopeNotGranted(
            f"The link does not cover: {names}. {mend}.", provider_id=provider.id, linking_mends=offered
        )
    # The wire says resources in every style, an audience only by its name.
    by_name = provider.audience_style in {"audience", "audience-repeated"} or provider.extra_tokens_path is not None
    if (asked.audience and not by_name) or (asked.resources and provider.audience_style == "none"):
        raise ScopeNotGranted(
            f"Provider {provider.id!r} takes no such audience or resource (setting AUDIENCE_STYLE).",
            provider_id=provider.id,
        )

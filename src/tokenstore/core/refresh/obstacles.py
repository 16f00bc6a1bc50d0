"""Why a link cannot be refreshed now, for how long, and the errors that say so. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from tokenstore.core.gate import Pause
from tokenstore.core.model import ISSUER_CHANGED, Holding, LinkState, Provider
from tokenstore.errors import (
    ProviderMisconfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshInProgress,
    TokenStoreError,
)

BACK_OFF_FIRST = timedelta(seconds=5)
BACK_OFF_MOST = timedelta(minutes=15)

ASK_AGAIN = timedelta(minutes=1)
"""Callers of a link in doubt are asked to come again after this time at most: it may be settled before its turn."""

MISCONFIGURED = "misconfigured:"
"""What the recorded reason of a failure starts with in which the provider refused this service itself."""


def back_off(fail_count: int) -> timedelta:
    """Pause after the (fail_count + 1)-th failure in a row: 5 s doubled each time, at most 15 min."""
    return min(BACK_OFF_FIRST * (1 << min(fail_count, 10)), BACK_OFF_MOST)


def obstacle(provider: Provider, holding: Holding) -> TokenStoreError | None:
    """Why this link cannot be refreshed now, or None if it can. Says nothing of a token already in hand."""
    link = holding.link
    if link.state is LinkState.BROKEN:
        return reauthorization_required(provider, link.last_error_at)
    if link.client_id != provider.client_id:
        clients = f"linked with client {link.client_id}, the settings name {provider.client_id}"
        return reauthorization_required(provider, None, debug=clients)
    if not link.has_refresh_token or not provider.refreshes:
        return reauthorization_required(provider, None, debug="there is nothing to refresh it with")
    if link.next_try_at is not None and link.next_try_at > holding.now:
        wait = link.next_try_at - holding.now
        if link.state is LinkState.SUSPECT:
            return in_doubt(wait)
        if link.last_error is not None and link.last_error.startswith(MISCONFIGURED):
            return misconfigured(provider, link.last_error.removeprefix(MISCONFIGURED))
        return unavailable(wait)
    return None


def reauthorization_required(provider: Provider, since: datetime | None, *, debug: str = "") -> ReauthorizationRequired:
    """The error that asks for the person; `debug`: why, for the operator's log."""
    return ReauthorizationRequired(
        "The link gives no fresh tokens any more. Open authorize_url and link the account again.",
        provider_id=provider.id,
        since=since,
        debug=debug,
    )


def in_doubt(retry_after: timedelta) -> RefreshInProgress:
    """The error of a link that the provider refused once."""
    return RefreshInProgress(
        "The provider refused this link once, which is checked before it is believed. The link is kept; ask again.",
        retry_after=min(retry_after, ASK_AGAIN),
    )


def unavailable(retry_after: timedelta) -> ProviderUnavailable:
    """The error of an outage at the provider."""
    return ProviderUnavailable(
        "The provider does not give tokens at the moment. The link is kept; ask again later.", retry_after=retry_after
    )


def misconfigured(provider: Provider, code: str = "") -> ProviderMisconfigured:
    """The error of a provider that refuses the store itself, or gives tokens by another issuer; `code`: its word."""
    if code == ISSUER_CHANGED:
        return ProviderMisconfigured(
            "The provider's tokens come by another issuer than the account was linked with. The link is kept; the "
            f"operator has to check the issuer of provider {provider.id!r} (issuer, discovery address)."
        )
    return ProviderMisconfigured(
        "The provider refuses this service's request. The link is kept; the operator has to check the settings of "
        f"provider {provider.id!r} (client id, client secret)."
    )


def paused(provider: Provider, pause: Pause) -> TokenStoreError:
    """The error of a provider that is not called at present."""
    return misconfigured(provider) if pause.misconfigured else unavailable(pause.retry_in)

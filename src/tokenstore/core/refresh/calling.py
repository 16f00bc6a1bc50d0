"""The provider call of a refresh with its repetitions: which outcome may be tried again, and how often."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    PAUSED,
    Doubt,
    Lease,
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    RotationKind,
    ScopeRefused,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import ProviderClient
from tokenstore.core.refresh.errand import Errand, Timing
from tokenstore.core.refresh.tenure import Tenure
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable

log = logging.getLogger(__name__)

RETRIES_WHEN_UNAVAILABLE = 2
RETRIES_WHEN_UNCLEAR = 1

NOT_AGAIN = frozenset(
    {PAUSED, "slow_down", "status-408", "status-425", "status-429", "status-503", "temporarily_unavailable"}
)
"""Reasons of `Unavailable` in which patience is asked for: the call is not repeated within the flight."""

OUT_OF_TIME = "out-of-time"
"""Reason of `Unavailable` where the flight was over before anything could be said of the token."""


@dataclass(frozen=True, slots=True)
class Called:
    """The last outcome, when its request was sent (monotonic), and whether a request before it had no answer."""

    outcome: Outcome
    sent: float
    unanswered: bool


class Calling:
    """Spends a refresh token at its provider, again where that may help and can do no harm."""

    def __init__(self, client: ProviderClient, timing: Timing) -> None:
        self._client = client
        self._timing = timing

    def until_clear(self, errand: Errand, tenure: Tenure, token: Secret) -> Called:
        """Call until the outcome is clear, or may not be tried again. The tenure has begun, or was renewed.

        Raises as `Tenure.renew` does.
        """
        provider = errand.provider
        unavailable = unclear = 0
        while True:
            sent = self._timing.monotonic()
            outcome = self._call(provider, errand, tenure.lease, token)
            called = Called(outcome, sent, unclear > 0)
            match outcome:
                case Unavailable(reason, None) if reason not in NOT_AGAIN and unavailable < RETRIES_WHEN_UNAVAILABLE:
                    unavailable += 1
                    if tenure.in_time():
                        self._timing.sleep(self._timing.uniform(0.2, 2.0))
                case Unclear(refresh_token=None) if unclear < RETRIES_WHEN_UNCLEAR:
                    unclear += 1
                case ScopeRefused() if errand.asked.nothing and provider.refresh_scope != "none":
                    log.error("provider refuses the configured refresh scope", extra={"provider": provider.id})
                    provider = replace(provider, refresh_scope="none")
                    called = replace(called, outcome=Unavailable(OUT_OF_TIME))
                case ScopeRefused(code) if errand.asked.nothing:
                    return replace(called, outcome=Misconfigured(code))
                case _:
                    return called
            # The pause counts, and so does what the database took to renew the lease.
            if not tenure.in_time():
                return called
            tenure.renew(Doubt.UNANSWERED if unclear else None)
            if not tenure.in_time():
                return called

    def _call(self, provider: Provider, errand: Errand, lease: Lease, token: Secret) -> Outcome:
        try:
            return self._client.refresh(provider, token, errand.asked, lease.link.scopes_granted, lease.link.account)
        except ProviderUnavailable as error:  # its metadata cannot be had
            return Unavailable(error.debug or error.slug)
        except ProviderMisconfigured as error:
            return Misconfigured(error.debug or error.slug)


def may_try_previous(provider: Provider, outcome: Outcome) -> bool:
    """Whether a refresh token that was replaced may be tried after this outcome of the current one."""
    if not isinstance(outcome, Refused) or outcome.code == ACCOUNT_CHANGED:
        return False
    return provider.rotation.kind is not RotationKind.STRICT

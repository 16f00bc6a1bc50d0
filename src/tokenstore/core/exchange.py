"""Redeeming a code: the one provider call of a callback, and what its outcomes mean to the person waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tokenstore.core.model import Attempt, Granted, Misconfigured, Provider, TokenSet, Unavailable, Unclear
from tokenstore.core.ports import ProviderClient
from tokenstore.core.refresh import misconfigured
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, ProviderUnavailable


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The token set and the monotonic second at which its request was sent."""

    tokens: TokenSet
    sent: float

    @property
    def elapsed(self) -> timedelta:
        """Time since the request was sent."""
        return timedelta(seconds=time.monotonic() - self.sent)


def redeem(
    client: ProviderClient,
    provider: Provider,
    attempt: Attempt,
    code: Secret,
    stray: Callable[[Secret], None] = lambda _token: None,
) -> Redeemed:
    """Exchange the code, once. `stray` gets a refresh token that came in an otherwise useless answer.

    Raises LinkDenied (the provider refuses this code), ProviderMisconfigured, ProviderUnavailable.
    """
    sent = time.monotonic()
    outcome = client.exchange(provider, attempt, code)
    match outcome:
        case Granted(tokens):
            return Redeemed(tokens, sent)
        case Misconfigured(reason):
            error = misconfigured(provider)
            error.debug = reason
            raise error
        case Unavailable(reason) | Unclear(reason):
            if isinstance(outcome, Unclear) and outcome.refresh_token is not None:
                stray(outcome.refresh_token)
            raise ProviderUnavailable("The provider did not answer as it should. Start again later.", debug=reason)
        case _:
            raise LinkDenied("The provider did not accept its own answer. Start again.", debug=outcome.code)

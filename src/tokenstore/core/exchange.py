"""Redeeming a code: the one provider call of a callback, and what its outcomes mean to the person waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tokenstore.core.model import Attempt, Callback, Granted, Misconfigured, Provider, TokenSet, Unavailable, Unclear
from tokenstore.core.ports import ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, ProviderMisconfigured, ProviderUnavailable


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The token set and the monotonic second at which its request was sent."""

    tokens: TokenSet
    sent: float


def with_callback_fields(tokens: TokenSet, provider: Provider, callback: Callback) -> TokenSet:
    """The same with the parameters of the redirect that KEEP_CALLBACK_FIELDS names, each if it came once.

    They come from the browser and prove nothing: add them only after the account is known.
    """
    kept = {name: value for name in provider.keep_callback_fields if (value := callback.one(name)) is not None}
    return replace(tokens, extra={**kept, **tokens.extra})


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
            raise ProviderMisconfigured(
                f"This service is refused by {provider.called}: the operator has to check the client id and client "
                "secret that it has there.",
                debug=reason,
            )
        case Unavailable(reason) | Unclear(reason):
            if isinstance(outcome, Unclear) and outcome.refresh_token is not None:
                stray(outcome.refresh_token)
            raise ProviderUnavailable("The provider did not answer as it should. Start again later.", debug=reason)
        case _:
            raise LinkDenied("The provider did not accept its own answer. Start again.", debug=outcome.code)

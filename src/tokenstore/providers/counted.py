"""The provider client, counted: how long each call took and what came of it. Answers pass through unchanged."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from tokenstore.core.metrics import Metrics
from tokenstore.core.model import (
    PAUSED,
    Account,
    Asked,
    Attempt,
    Outcome,
    Provider,
    RevocationResult,
    TokenSet,
    Unavailable,
)
from tokenstore.core.ports import CallbackIssuer, Identified, ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.errors import TokenStoreError

T = TypeVar("T")

_INNER_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


class CountedClient:
    """`core.ports.ProviderClient` around another one; what only builds addresses is not counted."""

    def __init__(self, client: ProviderClient, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:
        """Where to send the browser."""
        return self._client.authorization_url(provider, attempt, hints)

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:
        """What the callback's `iss` is compared with."""
        return self._client.callback_issuer(provider)

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
        """Redeem an authorization code once."""
        return self._counted(provider, "exchange", lambda: self._client.exchange(provider, attempt, code), _word)

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account."""
        return self._counted(provider, "identify", lambda: self._client.identify(provider, attempt, tokens), _word)

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        """One refresh."""
        return self._counted(
            provider,
            "refresh",
            lambda: self._client.refresh(provider, refresh_token, asked, granted, account),
            _word,
        )

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One revocation."""
        return self._counted(
            provider, "revoke", lambda: self._client.revoke(provider, token), lambda result: result.value
        )

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes."""
        return self._client.end_session_url(provider, id_token, return_to)

    def _counted(self, provider: Provider, call: str, work: Callable[[], T], word: Callable[[T], str]) -> T:
        begun, outcome = time.monotonic(), "error"
        try:
            result = work()
            outcome = word(result)
        except TokenStoreError as error:
            outcome = error.slug
            raise
        else:
            return result
        finally:
            self._metrics.called(provider.id, call, outcome, time.monotonic() - begun)


def _word(result: Outcome | Identified) -> str:
    """`granted`, `scope-refused` … and `identified`; `paused` where nothing was sent."""
    if isinstance(result, Unavailable) and result.reason == PAUSED:
        return PAUSED
    return _INNER_CAPITAL.sub("-", type(result).__name__).lower()

"""The provider client behind breakers: a provider that does not answer, or refuses this service, is left alone.

What is not sent is answered at once, in the words that each call has for it. Answers pass through unchanged.

Linking and refreshing are believed apart when a provider refuses this service, which may be so for one of the two alone
(RFC 6749 section 5.2, `unauthorized_client`): such a refusal of a linking is told to its person and stops nobody, and
one of a refresh does not stop linking. Revocations wait with the refreshes, and nothing is concluded from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tokenstore.core.model import (
    PAUSED,
    Account,
    Asked,
    Attempt,
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    ProviderId,
    Refused,
    RevocationResult,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import CallbackIssuer, Identified, ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderUnavailable
from tokenstore.providers.breakers import Breakers, Unsent
from tokenstore.providers.credentials import refuses_us

T = TypeVar("T")

_OUR_OWN_WORD = frozenset({"address-refused", "invalid_target"})
"""Codes that may be said of a request before it is sent, and so tell nothing of the provider."""


class GuardedClient:
    """`core.ports.ProviderClient` around another one."""

    def __init__(self, client: ProviderClient, breakers: Breakers) -> None:
        self._client = client
        self._breakers = breakers

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:
        """Where to send the browser; nowhere while the provider is left alone."""
        return self._prepared(provider, lambda: self._client.authorization_url(provider, attempt, hints))

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:
        """What the callback's `iss` is compared with; unknown while the provider is left alone."""
        return self._prepared(provider, lambda: self._client.callback_issuer(provider))

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
        """Redeem an authorization code once."""
        begun = self._breakers.admit(provider.id, linking=True)
        if isinstance(begun, Unsent):
            raise _left_alone(provider, begun)
        return self._watched(provider.id, begun, lambda: self._client.exchange(provider, attempt, code), linking=True)

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account."""
        return self._prepared(provider, lambda: self._client.identify(provider, attempt, tokens))

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        """One refresh; Unavailable(PAUSED) or what the provider said of this service where it is left alone."""
        begun = self._breakers.admit(provider.id)
        if isinstance(begun, Unsent):
            return Unavailable(PAUSED, begun.retry_in) if begun.code is None else Misconfigured(begun.code)
        if not asked.nothing:
            # A caller's own scope or audience is answered as the caller wrote it: nobody else is held back by that.
            outcome = self._client.refresh(provider, refresh_token, asked, granted, account)
            if isinstance(outcome, Granted):
                self._breakers.taken(provider.id, begun)
            return outcome
        return self._watched(
            provider.id,
            begun,
            lambda: self._client.refresh(provider, refresh_token, asked, granted, account),
            linking=False,
        )

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One revocation; FAILED while the provider is left alone, but for one now and then. It stops nobody."""
        return self._client.revoke(provider, token) if self._breakers.spare(provider.id) else RevocationResult.FAILED

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes."""
        return self._client.end_session_url(provider, id_token, return_to)

    def _prepared(self, provider: Provider, work: Callable[[], T]) -> T:
        """Work for a linking that often needs no call, so that only its failure says something."""
        unsent, begun = self._breakers.unsent(provider.id, linking=True), self._breakers.now()
        if unsent is not None:
            raise _left_alone(provider, unsent)
        try:
            return work()
        except ProviderUnavailable:
            self._breakers.failed(provider.id, begun)
            raise

    def _watched(self, provider_id: ProviderId, begun: float, call: Callable[[], Outcome], *, linking: bool) -> Outcome:
        try:
            outcome = call()
        except ProviderUnavailable:  # its metadata cannot be had
            self._breakers.failed(provider_id, begun)
            raise
        match outcome:
            case Unavailable() | Unclear():
                self._breakers.failed(provider_id, begun)
            case Misconfigured(code) if refuses_us(outcome) and not linking:
                self._breakers.refused_us(provider_id, begun, code)
            case Misconfigured(code) | ScopeRefused(code) if code in _OUR_OWN_WORD:
                pass
            case Misconfigured():
                self._breakers.answered(provider_id, begun)
            case Granted() | Refused() | ScopeRefused():
                self._breakers.taken(provider_id, begun)
        return outcome


def _left_alone(provider: Provider, unsent: Unsent) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"At present no answers come from {provider.called}. Start again later.",
        retry_after=unsent.retry_in,
        debug=PAUSED,
    )

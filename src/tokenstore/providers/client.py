"""The provider client: puts requests, transport, metadata, keys and readers together (port `ProviderClient`).

Owns what is tried in which order for one call. It never sends a request twice and keeps no state of links.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    DEADLINE,
    ISSUER_CHANGED,
    Account,
    Asked,
    Attempt,
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    ProviderKind,
    Refused,
    RevocationResult,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import CallbackIssuer, Identified
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers import wire
from tokenstore.providers.accounts import AccountReader
from tokenstore.providers.answers import CLIENT_REFUSALS, read_token_response
from tokenstore.providers.cached import Clock
from tokenstore.providers.credentials import Credentials, refuses_us
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.messages import NotSent, Request, TransportError
from tokenstore.providers.revocations import read_revocation_response
from tokenstore.providers.sameness import others, shows_another_issuer
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)

REVOCATION_SECONDS = DEADLINE.total_seconds()
"""Deadline of a revocation, over all our secrets."""

EndpointName = Literal["authorize", "token", "refresh"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HttpProviderClient:
    """`core.ports.ProviderClient` over HTTP; the port's docstrings are the contract. Thread-safe."""

    def __init__(
        self,
        transport: Transport,
        discovery: Discovery,
        keys: KeySets,
        now: Callable[[], datetime] = _utc_now,
        *,
        revocation_seconds: float = REVOCATION_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._transport = transport
        self._revocation_seconds = revocation_seconds
        self._clock = clock
        self._discovery = discovery
        self._credentials = Credentials()
        self._accounts = AccountReader(transport, discovery, keys, now)

    def close(self) -> None:
        """Close all connections to providers."""
        self._transport.close()

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:
        """Where to send the browser."""
        return wire.authorization_url(provider, self._endpoint(provider, "authorize"), attempt, hints or {})

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:
        """What the callback's `iss` is compared with (RFC 9207 section 2.4)."""
        metadata = self._discovery.metadata(provider)
        return CallbackIssuer(expected=metadata.issuer, required=metadata.sends_issuer)

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
        """Redeem an authorization code once."""
        endpoint = self._endpoint(provider, "token")
        return self._token_call(
            provider,
            lambda client: wire.code_request(client, endpoint, attempt, code),
            self._account_fields(provider),
            self._clock() + provider.rotation.deadline.total_seconds(),
        )

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        """One POST to the refresh endpoint; tokens of another account or issuer are not used.

        Metadata that has to be fetched first counts in the deadline: the lease of the token lasts no longer.
        """
        if not wire.can_express(provider, asked):
            return ScopeRefused("invalid_target")
        deadline = provider.rotation.deadline.total_seconds()
        ends = self._clock() + deadline
        endpoint = self._endpoint(provider, "refresh")
        if ends - self._clock() < deadline / 2:
            return Unavailable("metadata-late")
        outcome = self._token_call(
            provider,
            lambda client: wire.refresh_request(client, endpoint, refresh_token, asked, granted),
            self._account_fields(provider)[:1],
            ends,
        )
        if not isinstance(outcome, Granted):
            return outcome
        if account is not None and (found := others(provider, account, outcome.tokens)):
            _log.error("provider %s: a refresh brought tokens of another account", provider.id)
            return Refused(ACCOUNT_CHANGED, received=outcome.tokens, account=found[0])
        if account is not None and shows_another_issuer(provider, account, outcome.tokens):
            _log.error("provider %s: a refresh brought tokens of another issuer", provider.id)
            return Misconfigured(ISSUER_CHANGED, outcome.tokens.refresh_token)
        extra = {name: value for name, value in outcome.tokens.extra.items() if name in provider.keep_fields}
        return Granted(replace(outcome.tokens, extra=extra))

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account, and the claims it rests on."""
        return self._accounts.identify(provider, attempt, tokens)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One revocation call, with each of our secrets until one is taken, all within one deadline.

        Metadata that has to be fetched first counts. An answer other than success is FAILED and may be tried again
        later.
        """
        result = RevocationResult.FAILED
        ends = self._clock() + self._revocation_seconds
        for client in self._credentials.in_order(provider):
            try:
                request = self._revocation_request(client, token)
                if request is None:
                    return RevocationResult.UNSUPPORTED
                left = ends - self._clock()
                if left < self._revocation_seconds / 2:
                    break
                response = self._transport.send(provider.id, replace(request, deadline=left))
            except (TransportError, ProviderUnavailable, ProviderMisconfigured) as exc:
                _log.warning("provider %s: revocation failed: %s", provider.id, _reason(exc))
                return RevocationResult.FAILED
            result, word = read_revocation_response(response)
            if result is RevocationResult.CONFIRMED:
                return result
            _log.warning("provider %s: revocation answered %d %s", provider.id, response.status, word)
            if word not in CLIENT_REFUSALS:
                return result
        return result

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes."""
        try:
            endpoint = self._discovery.metadata(provider).endpoints.end_session
        except (ProviderUnavailable, ProviderMisconfigured):
            return None
        return None if endpoint is None else wire.end_session_url(provider, endpoint, id_token, return_to)

    def _endpoint(self, provider: Provider, name: EndpointName) -> str:
        endpoints = self._discovery.metadata(provider).endpoints
        found = {
            "authorize": endpoints.authorize,
            "token": endpoints.token,
            "refresh": endpoints.refresh or endpoints.token,
        }[name]
        if found is None:
            raise ProviderMisconfigured(
                f"No {name} endpoint of {provider.called} is known. The operator of this service has to set it.",
                debug=f"no {name} endpoint",
            )
        return found

    def _token_call(
        self, provider: Provider, build: Callable[[Provider], Request], keep: tuple[str, ...], ends: float
    ) -> Outcome:
        """One call with each of our secrets until one is taken, all over by `ends` (monotonic)."""
        clients = iter(self._credentials.in_order(provider))
        deadline = provider.rotation.deadline.total_seconds()
        outcome = self._ask(next(clients), build, keep, ends - self._clock())
        for client in clients:
            left = ends - self._clock()
            if not refuses_us(outcome) or left < deadline / 2:
                break
            outcome = self._ask(client, build, keep, left)
        return outcome

    def _ask(
        self, provider: Provider, build: Callable[[Provider], Request], keep: tuple[str, ...], deadline: float
    ) -> Outcome:
        try:
            response = self._transport.send(provider.id, replace(build(provider), deadline=deadline))
        except NotSent as exc:
            outcome: Outcome = Misconfigured(exc.reason) if exc.reason == "address-refused" else Unavailable(exc.reason)
        except TransportError as exc:
            outcome = Unclear(exc.reason)
        else:
            outcome = read_token_response(provider, response, keep)
        self._credentials.learn(provider, outcome)
        if not isinstance(outcome, Granted):
            word = outcome.reason if isinstance(outcome, Unavailable | Unclear) else outcome.code
            _log.warning("provider %s: token request %s: %s", provider.id, type(outcome).__name__.lower(), word)
        return outcome

    def _account_fields(self, provider: Provider) -> tuple[str, ...]:
        """The fields of the token response that say who the account is, where nothing else does."""
        if provider.kind is ProviderKind.OIDC or self._discovery.metadata(provider).endpoints.userinfo is not None:
            return ()
        return (provider.subject_field, provider.name_field, provider.email_field)

    def _revocation_request(self, provider: Provider, token: Secret) -> Request | None:
        if provider.revoke_style == "none":
            return None
        if provider.revoke_style == "github-grant":
            return wire.github_grant_request(provider, token)
        endpoint = self._discovery.metadata(provider).endpoints.revoke
        if endpoint is None:
            return None
        if provider.revoke_style == "bearer":
            return wire.bearer_revocation_request(endpoint, token)
        return wire.revocation_request(provider, endpoint, token)


def _reason(exc: TransportError | ProviderUnavailable | ProviderMisconfigured) -> str:
    return exc.reason if isinstance(exc, TransportError) else exc.debug

"""The provider client: puts requests, transport, metadata, keys and readers together (port `ProviderClient`).

Owns what is tried in which order for one call. It never sends a request twice and keeps no state of links.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from tokenstore.core.model import (
    Asked,
    Attempt,
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    ProviderKind,
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
from tokenstore.providers.answers import known_code, read_token_response
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.messages import NotSent, Request, Response, TransportError
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)

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
    ) -> None:
        self._transport = transport
        self._discovery = discovery
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
        request = wire.code_request(provider, endpoint, attempt, code)
        return self._token_call(provider, request, self._account_fields(provider))

    def refresh(self, provider: Provider, refresh_token: Secret, asked: Asked, granted: frozenset[str]) -> Outcome:
        """One POST to the refresh endpoint."""
        if not wire.can_express(provider, asked):
            return ScopeRefused("invalid_target")
        endpoint = self._endpoint(provider, "refresh")
        return self._token_call(provider, wire.refresh_request(provider, endpoint, refresh_token, asked, granted))

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account, and the claims it rests on."""
        return self._accounts.identify(provider, attempt, tokens)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One revocation call; an answer other than success is FAILED and may be tried again later."""
        try:
            request = self._revocation_request(provider, token)
            if request is None:
                return RevocationResult.UNSUPPORTED
            response = self._transport.send(provider.id, request)
        except (TransportError, ProviderUnavailable, ProviderMisconfigured) as exc:
            _log.warning("provider %s: revocation failed: %s", provider.id, _reason(exc))
            return RevocationResult.FAILED
        if response.status in (200, 204):
            return RevocationResult.CONFIRMED
        code = _error_in(response)
        _log.warning("provider %s: revocation answered %d %s", provider.id, response.status, code)
        return RevocationResult.UNSUPPORTED if code == "unsupported_token_type" else RevocationResult.FAILED

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
                f"The provider {provider.id} names no {name} endpoint. The operator of this service has to set it.",
                debug=f"no {name} endpoint",
            )
        return found

    def _token_call(self, provider: Provider, request: Request, keep: tuple[str, ...] = ()) -> Outcome:
        try:
            response = self._transport.send(provider.id, request)
        except NotSent as exc:
            outcome: Outcome = Misconfigured(exc.reason) if exc.reason == "address-refused" else Unavailable(exc.reason)
        except TransportError as exc:
            outcome = Unclear(exc.reason)
        else:
            outcome = read_token_response(provider, response, keep)
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
        return None if endpoint is None else wire.revocation_request(provider, endpoint, token)


def _error_in(response: Response) -> str:
    try:
        return known_code(parse_object(response.body).get("error"))
    except BadJson:
        return "other"


def _reason(exc: TransportError | ProviderUnavailable | ProviderMisconfigured) -> str:
    return exc.reason if isinstance(exc, TransportError) else exc.debug

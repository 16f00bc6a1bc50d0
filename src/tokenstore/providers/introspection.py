"""Opaque access tokens that callers bring to our API: what the login provider says of them (RFC 7662).

The answer is held to the same rules as a JWT (`accesstoken`). How long it is believed is the caller's business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from tokenstore.core.model import Provider
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers import wire
from tokenstore.providers.accesstoken import authorized_party, refuse_sender_constrained
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.fields import subject_text
from tokenstore.providers.messages import NotSent, Response, TransportError
from tokenstore.providers.signed import MAX_TOKEN, SignedToken, TokenRefused
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)

_B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1
_MARKS: Final = {
    "token_type": frozenset({"bearer"}),  # RFC 7662 section 2.2
    "typ": frozenset({"bearer", "at+jwt"}),  # Keycloak
    "token_use": frozenset({"access_token", "access"}),  # Hydra, Cognito
}
"""Members that tell an access token from a refresh token, which many providers call active, too."""


class Introspection:
    """Asks the login provider about a token, as the client that we are there."""

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        discovery: Discovery,
        *,
        audiences: Collection[str],
        authorized_parties: Collection[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._provider = provider
        self._transport = transport
        self._discovery = discovery
        self._audiences = audiences
        self._parties = authorized_parties
        self._now = now

    def verify(self, token: Secret) -> Mapping[str, Any]:
        """The claims of a token that is active and made for us; `iss` is always there, `exp` need not be.

        Raises BadCredentials, ProviderUnavailable, and ProviderMisconfigured if the provider offers no introspection
        or refuses us.
        """
        try:
            _check_form(token)
            return read_introspection(
                self._ask(token),
                issuer=self._provider.effective_issuer,
                audiences=self._audiences,
                authorized_parties=self._parties,
                now=self._now(),
            )
        except TokenRefused as exc:
            raise BadCredentials(
                "The access token is not valid here. Get a fresh one from the login provider, made for this service.",
                debug=exc.reason,
            ) from None

    def _ask(self, token: Secret) -> Mapping[str, Any]:
        endpoint = self._discovery.metadata(self._provider).endpoints.introspect
        if endpoint is None:
            raise _misconfigured("no introspection endpoint in its metadata")
        for secret in (self._provider.client_secret, *self._provider.further_secrets):
            response = self._send(replace(self._provider, client_secret=secret), endpoint, token)
            if response.status != 401:
                return _members(response)
        raise _misconfigured("status 401")

    def _send(self, provider: Provider, endpoint: str, token: Secret) -> Response:
        try:
            return self._transport.send(provider.id, wire.introspection_request(provider, endpoint, token))
        except TransportError as exc:
            if isinstance(exc, NotSent) and exc.reason == "address-refused":
                raise _misconfigured(exc.reason) from None
            raise _unavailable(exc.reason) from None


def read_introspection(
    answer: Mapping[str, Any],
    *,
    issuer: str,
    audiences: Collection[str],
    authorized_parties: Collection[str],
    now: datetime,
) -> Mapping[str, Any]:
    """Judge an introspection answer (RFC 7662 section 2.2); pure. The claims, `iss` filled in. Raises TokenRefused.

    `active` is true; `iss` is the login provider's if it is there; `aud` holds one of `audiences`; `exp`, `nbf` and
    `iat` fit if they are there; `sub` is there; where `authorized_parties` are given `client_id` or `azp` is one of
    them; something says that it is an access token and nothing that it is another; it is not bound to a key (`cnf`).
    """
    if answer.get("active") is not True:
        raise TokenRefused("inactive")
    claims = {"iss": issuer, **{name: value for name, value in answer.items() if name != "active"}}
    _check_marks(claims)
    refuse_sender_constrained(claims)
    said = SignedToken({}, claims)
    said.check_issuer(issuer)
    said.check_times(now, expires="exp" in claims)
    if not said.audiences & frozenset(audiences):
        raise TokenRefused("audience")
    if subject_text(said.text("sub")) is None:
        raise TokenRefused("sub")
    if authorized_parties and authorized_party(claims) not in authorized_parties:
        raise TokenRefused("azp")
    return claims


def _check_form(token: Secret) -> None:
    text = token.reveal()
    if len(text) > MAX_TOKEN or not _B64TOKEN.fullmatch(text):
        raise TokenRefused("form")


def _check_marks(claims: Mapping[str, Any]) -> None:
    found = {name: claims[name] for name in _MARKS if claims.get(name) is not None}
    if not found or any(str(value).lower() not in _MARKS[name] for name, value in found.items()):
        raise TokenRefused("typ")


def _members(response: Response) -> Mapping[str, Any]:
    if response.status in (400, 403):
        raise _misconfigured(f"status {response.status}")
    if response.status != 200:
        raise _unavailable(f"status {response.status}")
    try:
        return parse_object(response.body)
    except BadJson:
        raise _unavailable("no acceptable JSON object") from None


def _misconfigured(reason: str) -> ProviderMisconfigured:
    _log.error("the login provider does not introspect tokens for us: %s", reason)
    return ProviderMisconfigured(
        "The login provider does not say whether access tokens are good. The operator has to look at the settings.",
        debug=f"introspection: {reason}",
    )


def _unavailable(reason: str) -> ProviderUnavailable:
    _log.warning("introspection failed: %s", reason)
    return ProviderUnavailable(
        "The login provider does not answer at present, so the access token could not be checked. Try again.",
        debug=f"introspection: {reason}",
    )

"""Server metadata (OIDC Discovery 1.0, RFC 8414): fetched, checked against the settings, kept.

Only the members listed in `ServerMetadata` are read: a document cannot switch PKCE off, add a scope or bring
algorithms. Settings win over metadata, and addresses that a document names must stand where the operator expects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from tokenstore.core.model import Endpoints, Provider
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers.addresses import AddressPolicy, AddressRefused, Target
from tokenstore.providers.cached import Cached, Clock, Freshness
from tokenstore.providers.checks import issuer_of
from tokenstore.providers.messages import LARGE, NotSent, Request, Response, TransportError
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)

_MEMBERS: Final = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "jwks_uri": "jwks",
    "userinfo_endpoint": "userinfo",
    "revocation_endpoint": "revoke",
    "end_session_endpoint": "end_session",
}


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What the store takes from a provider's metadata.

    sends_issuer   `authorization_response_iss_parameter_supported` (RFC 9207 section 3)
    """

    issuer: str | None
    endpoints: Endpoints
    sends_issuer: bool = False


class Discovery:
    """The metadata of every provider, settings merged in. Thread-safe."""

    def __init__(
        self,
        transport: Transport,
        policy: AddressPolicy,
        freshness: Freshness | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._transport = transport
        self._policy = policy
        self._freshness = freshness
        self._clock = clock
        self._cached: dict[str, Cached[ServerMetadata]] = {}
        self._lock = threading.Lock()

    def metadata(self, provider: Provider) -> ServerMetadata:
        """Metadata with the endpoints of the settings in place of the document's.

        Without a discovery URL nothing is fetched. Raises ProviderUnavailable when the document cannot be had and
        ProviderMisconfigured when it cannot be accepted (OIDC Discovery 1.0 section 4.3).
        """
        if provider.discovery_url is None:
            return ServerMetadata(provider.issuer, provider.endpoints)
        found = self._cached_for(provider).get()
        return replace(found, endpoints=_merged(provider.endpoints, found.endpoints))

    def _cached_for(self, provider: Provider) -> Cached[ServerMetadata]:
        with self._lock:
            if provider.id not in self._cached:
                self._cached[provider.id] = Cached(lambda: self._load(provider), self._freshness, self._clock)
            return self._cached[provider.id]

    def _load(self, provider: Provider) -> ServerMetadata:
        url = provider.discovery_url or ""
        document = fetch_object(self._transport, provider, url, what="metadata")
        try:
            return read_metadata(provider, document, self._policy)
        except _NotAcceptable as exc:
            _log.error("provider %s: metadata refused: %s", provider.id, exc)
            raise ProviderMisconfigured(
                f"The metadata of the provider {provider.id} cannot be accepted: {exc}. "
                "The operator of this service has to compare the provider's settings with its metadata.",
                debug=str(exc),
            ) from None


class _NotAcceptable(ValueError):
    """Why metadata are refused, in our words only."""


def read_metadata(provider: Provider, document: dict[str, Any], policy: AddressPolicy) -> ServerMetadata:
    """Judge a metadata document; pure. Raises ValueError, in words without anything of the document.

    The issuer must be exactly the expected one. Every endpoint that is there must be a URL the store may call, on the
    issuer's host or one of `allowed_hosts`, and no plain http where the issuer has https.
    """
    expected = expected_issuer(provider)
    if expected is None:
        raise _NotAcceptable("no issuer is configured to compare it with")
    if document.get("issuer") != expected:
        raise _NotAcceptable("its issuer is not exactly the configured one")
    home = _target(policy, expected, "issuer")
    hosts = {home.host, *provider.allowed_hosts}
    found: dict[str, str] = {}
    for member, name in _MEMBERS.items():
        value = document.get(member)
        if value is None:
            continue
        target = _target(policy, value, member)
        if target.host not in hosts:
            raise _NotAcceptable(f"{member} stands on a host that is neither the issuer's nor in ALLOWED_HOSTS")
        if home.scheme == "https" and target.scheme != "https":
            raise _NotAcceptable(f"{member} is plain http")
        found[name] = value
    sends_issuer = document.get("authorization_response_iss_parameter_supported", False)
    if not isinstance(sends_issuer, bool):
        raise _NotAcceptable("authorization_response_iss_parameter_supported is no boolean")
    return ServerMetadata(expected, Endpoints(**found), sends_issuer)


def expected_issuer(provider: Provider) -> str | None:
    """The issuer that metadata must name: the configured one, else what the discovery URL stands for."""
    return provider.issuer or issuer_of(provider.discovery_url or "")


def fetch_object(transport: Transport, provider: Provider, url: str, what: str) -> dict[str, Any]:
    """GET a public JSON object of at most 256 KiB.

    Raises ProviderUnavailable, or ProviderMisconfigured when the address may not be called at all.
    """
    request = Request("GET", url, headers=(("Accept", "application/json"),), cap=LARGE)
    try:
        response = transport.send(provider.id, request)
    except TransportError as exc:
        if isinstance(exc, NotSent) and exc.reason == "address-refused":
            raise ProviderMisconfigured(
                f"The {what} of the provider {provider.id} stand at an address that this service does not call. "
                "Its operator may list the host in ALLOW_PRIVATE_HOSTS.",
                debug=exc.reason,
            ) from None
        raise _not_available(provider, what, exc.reason) from None
    return _usable_object(response, lambda reason: _not_available(provider, what, reason))


def _usable_object(response: Response, fault: Callable[[str], ProviderUnavailable]) -> dict[str, Any]:
    if response.status != 200:
        raise fault(f"status {response.status}")
    try:
        return parse_object(response.body)
    except BadJson:
        raise fault("no acceptable JSON object") from None


def _not_available(provider: Provider, what: str, reason: str) -> ProviderUnavailable:
    _log.warning("provider %s: %s not available: %s", provider.id, what, reason)
    return ProviderUnavailable(
        f"The provider {provider.id} does not answer as it should at present. Try again later.",
        debug=f"{what}: {reason}",
    )


def _target(policy: AddressPolicy, value: object, member: str) -> Target:
    if not isinstance(value, str):
        raise _NotAcceptable(f"{member} is no text")
    try:
        return policy.target(value)
    except AddressRefused as exc:
        raise _NotAcceptable(f"{member} is refused: {exc}") from None


def _merged(configured: Endpoints, found: Endpoints) -> Endpoints:
    return Endpoints(
        authorize=configured.authorize or found.authorize,
        token=configured.token or found.token,
        refresh=configured.refresh or found.refresh,
        jwks=configured.jwks or found.jwks,
        userinfo=configured.userinfo or found.userinfo,
        revoke=configured.revoke or found.revoke,
        end_session=configured.end_session or found.end_session,
    )

"""Server metadata (OIDC Discovery 1.0, RFC 8414): fetched, checked against the settings, kept.

Only the members listed in `ServerMetadata` are read: a document cannot switch PKCE off, add a scope or bring
algorithms. Settings win over metadata, and addresses that a document names must stand where the operator expects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tokenstore.core.model import LOGIN_PROVIDER, Endpoints, Provider
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers.addresses import AddressPolicy, AddressRefused, Target
from tokenstore.providers.cached import Cached, Clock, Freshness
from tokenstore.providers.messages import LARGE, NotSent, Request, Response, TransportError
from tokenstore.providers.settings import prefix
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)

_MEMBERS: Final = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "jwks_uri": "jwks",
    "userinfo_endpoint": "userinfo",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
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
        return replace(found, endpoints=merged(provider.endpoints, found.endpoints))

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
                f"The metadata of {provider.called} cannot be accepted: {exc}. "
                "The operator of this service has to compare the provider's settings with its metadata.",
                debug=str(exc),
            ) from None


class _NotAcceptable(ValueError):
    """Why metadata are refused, in our words only."""


def read_metadata(provider: Provider, document: dict[str, Any], policy: AddressPolicy) -> ServerMetadata:
    """Judge a metadata document; pure. Raises ValueError, in words without anything of the document."""
    if faults := metadata_faults(provider, document, policy):
        raise _NotAcceptable(str(faults[0]))
    sends_issuer = document.get("authorization_response_iss_parameter_supported", False)
    return ServerMetadata(provider.issuer, advertised_endpoints(provider, document), sends_issuer)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one member of a metadata document; `because` follows its name. `foreign`: the host is."""

    member: str
    because: str
    foreign: bool = False

    def __str__(self) -> str:
        return f"{self.member} {self.because}"


def metadata_faults(provider: Provider, document: Mapping[str, Any], policy: AddressPolicy) -> Sequence[Fault]:
    """Everything that keeps a metadata document from being accepted, in words without anything of the document; pure.

    The issuer must be exactly the expected one. Every endpoint that is there must be a URL the store may call, on the
    issuer's host or one of `allowed_hosts`, and no plain http where the issuer has https.
    """
    expected = provider.issuer
    if expected is None:
        return [Fault("issuer", "cannot be compared, for none is configured")]
    faults = [] if document.get("issuer") == expected else [Fault("issuer", "is not exactly the configured one")]
    try:
        home = policy.target(expected)
    except AddressRefused as exc:
        return [*faults, Fault("issuer", f"is refused: {exc}")]
    for member, name in _MEMBERS.items():
        value = document.get(member)
        if value is None or _is_of_no_use(provider, name):
            continue
        if fault := _endpoint_fault(provider, member, value, home, policy):
            faults.append(fault)
    if not isinstance(document.get("authorization_response_iss_parameter_supported", False), bool):
        faults.append(Fault("authorization_response_iss_parameter_supported", "is no boolean"))
    return faults


def _endpoint_fault(
    provider: Provider, member: str, value: object, home: Target, policy: AddressPolicy
) -> Fault | None:
    if not isinstance(value, str):
        return Fault(member, "is no text")
    try:
        target = policy.target(value)
    except AddressRefused as exc:
        return Fault(member, f"is refused: {exc}")
    if target.host not in {home.host, *provider.allowed_hosts}:
        setting = f"{prefix(provider.id)}ALLOWED_HOSTS"
        return Fault(member, f"stands on a host that is neither the issuer's nor in {setting}", foreign=True)
    if home.scheme == "https" and target.scheme != "https":
        return Fault(member, "is plain http")
    return None


def advertised_endpoints(provider: Provider, document: Mapping[str, Any]) -> Endpoints:
    """The endpoints that a document without faults names; only the login provider's introspection is of use."""
    found = {name: document.get(member) for member, name in _MEMBERS.items() if not _is_of_no_use(provider, name)}
    return Endpoints(**found)


def _is_of_no_use(provider: Provider, endpoint: str) -> bool:
    return endpoint == "introspect" and provider.id != LOGIN_PROVIDER


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
                f"The {what} of {provider.called} stand at an address that this service does not call. "
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
        f"At present {provider.called} does not answer as it should. Try again later.",
        debug=f"{what}: {reason}",
    )


def merged(configured: Endpoints, found: Endpoints) -> Endpoints:
    """The endpoints of the settings, and where they name none those that were found."""
    return Endpoints(
        authorize=configured.authorize or found.authorize,
        token=configured.token or found.token,
        refresh=configured.refresh or found.refresh,
        jwks=configured.jwks or found.jwks,
        userinfo=configured.userinfo or found.userinfo,
        revoke=configured.revoke or found.revoke,
        introspect=configured.introspect or found.introspect,
        end_session=configured.end_session or found.end_session,
    )

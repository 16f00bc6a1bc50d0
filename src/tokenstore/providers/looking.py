"""Looking at a provider from outside: its metadata, its keys, whether its token endpoint is there, its clock.

Only public documents are asked for, with nothing of ours in the requests. What they mean is for `checkup`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tokenstore.core.model import Endpoints, Provider, ProviderKind
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.discovery import advertised_endpoints, merged, metadata_faults
from tokenstore.providers.lifetimes import http_date
from tokenstore.providers.messages import LARGE, Request, TransportError
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one GET brought.

    document  the JSON object, None if there is none
    fault     why there is none: a reason of the transport, `status 404`, or `no JSON object`
    answered  whether there was an answer at all
    ahead     how far the clock of the one who answered goes before ours, negative if behind; None if it did not say
    """

    url: str
    document: Mapping[str, Any] | None = None
    fault: str = ""
    answered: bool = False
    ahead: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen; None is what was not asked for.

    endpoints  those of the settings and of good metadata
    accepted   whether metadata were found good, or there are none to be had
    """

    endpoints: Endpoints
    accepted: bool
    metadata: Fetched | None = None
    keys: Fetched | None = None
    token: Fetched | None = None


def look(transport: Transport, policy: AddressPolicy, provider: Provider, now: Callable[[], datetime]) -> Look:
    """Ask a provider at most three times, each call within the transport's deadline. Raises nothing."""
    metadata, endpoints, accepted = None, provider.endpoints, provider.discovery_url is None
    if provider.discovery_url is not None:
        metadata = _fetch(transport, provider, provider.discovery_url, now)
        document = metadata.document
        if document is not None and not metadata_faults(provider, document, policy):
            endpoints, accepted = merged(endpoints, advertised_endpoints(provider, document)), True
    jwks = endpoints.jwks if provider.kind is ProviderKind.OIDC else None
    return Look(
        endpoints,
        accepted,
        metadata,
        None if jwks is None else _fetch(transport, provider, jwks, now),
        None if endpoints.token is None else _fetch(transport, provider, endpoints.token, now),
    )


def _fetch(transport: Transport, provider: Provider, url: str, now: Callable[[], datetime]) -> Fetched:
    try:
        response = transport.send(
            provider.id, Request("GET", url, headers=(("Accept", "application/json"),), cap=LARGE)
        )
    except TransportError as exc:
        return Fetched(url, fault=exc.reason, answered=exc.reason in ("too-large", "encoding"))
    sent = http_date(response.date)
    ahead = None if sent is None else sent - now()
    if response.status != 200:
        return Fetched(url, None, f"status {response.status}", True, ahead)
    try:
        return Fetched(url, parse_object(response.body), "", True, ahead)
    except BadJson:
        return Fetched(url, None, "no JSON object", True, ahead)

"""The only door to providers: transport, what is known of them, and the client with its breakers and counters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tokenstore.config import Loaded
from tokenstore.core.gate import Gate
from tokenstore.core.metrics import Metrics
from tokenstore.core.places import Places
from tokenstore.core.ports import ProviderClient
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.breakers import Breakers
from tokenstore.providers.callertokens import CallerTokens
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.counted import CountedClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.guarded import GuardedClient
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport


@dataclass(frozen=True, slots=True)
class Providers:
    """The client, whom it leaves alone at present, who may use it, and what callers' tokens are verified with."""

    client: ProviderClient
    gate: Gate
    places: Places
    callers: CallerTokens
    discovery: Discovery


ProvidersOf = Callable[[Loaded, Metrics], Providers]


def make_providers(loaded: Loaded, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> Providers:
    """The door of these settings; no connection is made yet. `clock`: the breakers', monotonic seconds."""
    settings = loaded.settings
    policy = AddressPolicy(settings.allow_private_hosts)
    transport = Transport(policy, ca_bundle=settings.ca_bundle or None)
    discovery = Discovery(transport, policy)
    keys = KeySets(transport, discovery)
    places = Places(settings.request_threads)
    callers = CallerTokens(
        loaded.login,
        transport,
        discovery,
        keys,
        places,
        audiences=settings.oidc_audience,
        authorized_parties=settings.oidc_authorized_parties,
        introspect=settings.oidc_introspection,
    )
    breakers = Breakers(metrics, clock)
    client = CountedClient(GuardedClient(HttpProviderClient(transport, discovery, keys), breakers), metrics)
    return Providers(client=client, gate=breakers, places=places, callers=callers, discovery=discovery)

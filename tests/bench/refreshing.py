"""The part `refresh`: tokens that have ended, one link after the other, beside the provider asked directly."""

from __future__ import annotations

import tempfile
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import load
from bench.say import say
from bench.stand import STORE, migrate, serving
from demo.address import Address
from demo.knobs import Fault
from demo.store import own_settings
from support.far_provider import FarGrant, FarProvider, far_provider
from support.keyed_callers import FUNCTION
from support.seeding import seeder
from tokenstore.core.places import Places

LATENCIES = (0.0, 0.05)
LINKS = 300
CONNECTIONS = Places().most
"""More callers are turned away where a refresh takes a second, as on a busy machine."""
PROVIDER = "idp1"


def measure(database_url: str) -> dict[str, Any]:
    """Refreshes per second through the store and at the provider itself, by the provider's latency in milliseconds."""
    with tempfile.TemporaryDirectory() as folder, far_provider() as far:
        home, address = Path(folder), Address()
        settings: dict[str, object] = {
            **own_settings(address.url, database_url),
            "OIDC_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",  # nobody logs in
            "OIDC_CLIENT_ID": "nobody",
            "OIDC_CLIENT_SECRET": "nothing",
            "TOKEN_PROVIDERS": [PROVIDER],
            "USERINFO_MAP": {"apikey-v1": FUNCTION},
            "INSTANCE_PATH": str(home),
            "WAIT_SECONDS": 10,  # every request waits for its refresh here
            **far.settings(PROVIDER),
        }
        migrate(settings, home)
        with serving(STORE, address, home, settings) as server, seeder(settings, {PROVIDER: far}) as seed:
            found = {}
            for latency in LATENCIES:
                say(f"refresh, provider latency {latency * 1000:.0f} ms: making {LINKS} links")
                far.clear()
                links = seed.link(PROVIDER, LINKS)
                granted = far.grant(LINKS)
                if latency:
                    far.set(Fault.LATENCY, latency)
                say(f"refresh, provider latency {latency * 1000:.0f} ms")
                requests = iter([load.get(server.port, one.path, one.headers) for one in links])
                through = load.run(server.port, requests, connections=CONNECTIONS)
                found[f"{latency * 1000:.0f}"] = {"store": asdict(through), "provider": asdict(_directly(far, granted))}
    return found


def _directly(far: FarProvider, granted: Sequence[FarGrant]) -> load.Figures:
    """The same number of refreshes by a client that keeps nothing."""
    latencies: list[float] = []
    credentials = b64encode(f"{far.client_id}:{far.client_secret}".encode()).decode()

    def refresh(grant: FarGrant) -> None:
        body = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": grant.refresh_token}).encode()
        request = urllib.request.Request(  # noqa: S310  (our own http address)
            f"{far.issuer}/token", body, {"Authorization": f"Basic {credentials}"}
        )
        sent = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  (as above)
            answer.read()
        latencies.append(time.perf_counter() - sent)

    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(refresh, granted))
    return load.Figures.of(latencies, time.perf_counter() - began)

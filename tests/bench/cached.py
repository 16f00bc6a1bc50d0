"""The part `cached`: a token from the cache and the list, by every caller, beside the bare view in the same run."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from flask import Flask

from bench import bare, load
from bench.in_process import in_turn, median_ratio
from bench.say import quiet_stderr, say
from bench.stand import CALLERS, LIST, TOKEN, LinkedStore, Server, bare_server, linked_store, spent_by
from tokenstore import create_app
from tokenstore.app import assemble
from tokenstore.composing.adapters import Adapters, make_adapters
from tokenstore.composing.providers import make_providers
from tokenstore.config import loading
from tokenstore.core.model import Cached, Identity, LinkId, ProviderId
from tokenstore.core.ports import LinkStore

ROUNDS = 9
SERVED_ROUNDS, SECONDS, CONNECTIONS = 5, 2.0, 8


def measure(database_url: str) -> dict[str, Any]:
    """CPU per request in process, and requests per second under the server."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with linked_store(database_url, home) as linked, bare_server(home) as plain:
            served = _served(linked, plain)
            cpu = _cpu(linked, home)
    return {**cpu, "served": served}


def _cpu(linked: LinkedStore, home: Path) -> dict[str, Any]:
    """Microseconds of CPU per request, and ratios to the bare view: medians of the ratios round by round."""
    settings = {**linked.settings, "LOG_LEVEL": "INFO", "INSTANCE_PATH": str(home), "KEEPER": "off"}
    store, bearer = create_app(settings), linked.headers["bearer"]
    reads: list[float] = []
    observed = assemble(
        loading.load(settings), lambda app, loaded: _with_timed_reads(app, loaded, reads), make_providers
    )
    asked = {
        "bare": (bare.create_app(), "/bare", {}),
        **{caller: (store, TOKEN, linked.headers[caller]) for caller in CALLERS},
        "list": (store, LIST, bearer),
        "view": (store, f"{TOKEN}?min_valid=60", bearer),
        "observed": (observed, TOKEN, bearer),
    }
    say("CPU per request")
    with quiet_stderr():
        loud = in_turn(ROUNDS, asked)
        logging.disable(logging.INFO)
        silent = in_turn(ROUNDS, {name: asked[name] for name in ("bare", "bearer")})
        logging.disable(logging.NOTSET)
    del loud["observed"]
    cpu = {name: statistics.median(figures) for name, figures in loud.items()}
    return {
        "cpu": cpu,
        "ratio": {name: median_ratio(loud, name, "bare") for name in loud},
        "read": statistics.median(reads) * 1e6 / cpu["bare"],
        "silent": median_ratio(silent, "bearer", "bare"),
    }


class TimedReads:
    """A `LinkStore` whose narrow reads are timed: CPU seconds of the thread, one entry each."""

    def __init__(self, links: LinkStore, spent: list[float]) -> None:
        self._links = links
        self._spent = spent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)

    def cached(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Cached | None:
        """See the port."""
        began = time.thread_time()
        found = self._links.cached(user, provider_id, link_id, variant)
        self._spent.append(time.thread_time() - began)
        return found


def _with_timed_reads(app: Flask, loaded: loading.Loaded, spent: list[float]) -> Adapters:
    adapters = make_adapters(app, loaded)
    return replace(adapters, links=TimedReads(adapters.links, spent))  # type: ignore[arg-type]  # all else is passed on


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server, over how many connections, and beside which other load it is to be seen."""

    server: Server
    path: str
    headers: Mapping[str, str]
    beside: str = "bare"
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of a load showed, and what one request of it cost the worker."""

    figures: load.Figures
    cpu: float
    switches: float


def _served(linked: LinkedStore, plain: Server) -> dict[str, Any]:
    """Load on both servers in turn; the first round of each warms up and is dropped."""
    bearer = linked.headers["bearer"]
    loads = {
        "bare": Load(plain, "/bare", {}),
        **{caller: Load(linked.server, TOKEN, linked.headers[caller]) for caller in CALLERS},
        "list": Load(linked.server, LIST, bearer),
        "bare alone": Load(plain, "/bare", {}, "bare alone", 1),
        "bearer alone": Load(linked.server, TOKEN, bearer, "bare alone", 1),
    }
    rounds: dict[str, list[Round]] = {name: [] for name in loads}
    for turn in range(SERVED_ROUNDS + 1):
        say(f"load, round {turn} of {SERVED_ROUNDS}")
        for name, one in loads.items():
            found = _round(one, SECONDS if turn else 1.0)
            if turn:
                rounds[name].append(found)
    return {
        name: {**_middle(found), "ratio": _ratio(found, rounds[loads[name].beside])} for name, found in rounds.items()
    }


def _round(asked: Load, seconds: float) -> Round:
    requests = repeat(load.get(asked.server.port, asked.path, asked.headers))
    before, began = spent_by(asked.server.worker), time.monotonic()
    figures = load.run(asked.server.port, requests, connections=asked.connections, seconds=seconds)
    answered = figures.per_second * (time.monotonic() - began)
    spent = spent_by(asked.server.worker) - before
    return Round(figures, spent.cpu / answered * 1e6, spent.switches / answered)


def _middle(rounds: list[Round]) -> Mapping[str, float]:
    names = ("per_second", "p50", "p99")
    return {
        **{name: statistics.median(getattr(one.figures, name) for one in rounds) for name in names},
        "cpu": statistics.median(one.cpu for one in rounds),
        "switches": statistics.median(one.switches for one in rounds),
    }


def _ratio(rounds: list[Round], beside: list[Round]) -> float:
    return statistics.median(a.figures.per_second / b.figures.per_second for a, b in zip(rounds, beside, strict=True))

"""The part `linking`: the whole journey of a browser, over and over, and what of it is the store's own work."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench import load
from bench.say import say
from bench.stand import cpu_seconds, linked_store
from demo.world import STRICT

SECONDS = 8.0


def measure(database_url: str) -> dict[str, Any]:
    """Linkings per second by one browser: start page, button, sign-in at the provider, callback, back."""
    with tempfile.TemporaryDirectory() as folder, linked_store(database_url, Path(folder)) as linked:
        me = linked.traveller
        say("linking")
        me.link(STRICT, me.account)
        latencies: list[float] = []
        cpu, began = cpu_seconds(linked.server.worker), time.perf_counter()
        while (now := time.perf_counter()) - began < SECONDS:
            page = me.link(STRICT, me.account)
            if page.url != f"{me.store_url}/":
                raise RuntimeError(f"the linking ended at {page.url} ({page.status})")
            latencies.append(time.perf_counter() - now)
        figures = load.Figures.of(latencies, time.perf_counter() - began)
        used = cpu_seconds(linked.server.worker) - cpu
    return {
        "per_second": figures.per_second,
        "p50": figures.p50,
        "p99": figures.p99,
        "cpu": used / len(latencies) * 1e3,
    }

"""The part `worker`: how much memory a worker has after some work, and how soon a store is ready."""

from __future__ import annotations

import statistics
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

from bench import load
from bench.say import say
from bench.stand import BARE, LIST, STORE, TOKEN, cpu_seconds, linked_store, serving
from demo.address import Address

STARTS = 5
SECONDS = 4.0


def measure(database_url: str) -> dict[str, Any]:
    """Resident megabytes of the serving process, and seconds from the start of the server to its first answer."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with linked_store(database_url, home) as linked:
            say("worker: memory")
            at = linked.server
            for path in (TOKEN, LIST, "/", "/api/v1.0/openapi.json"):
                requests = repeat(load.get(at.port, path, linked.headers["session"]))
                load.run(at.port, requests, connections=8, seconds=SECONDS)
            memory = _resident(at.worker)
            settings = linked.settings
        times: dict[str, list[float]] = {STORE: [], BARE: []}
        spent: list[float] = []
        for turn in range(STARTS):
            say(f"worker: start {turn + 1} of {STARTS}")
            with serving(BARE, Address(), home, {}, ready="/bare") as server:
                times[BARE].append(server.started_in)
            address = Address()
            with serving(STORE, address, home, {**settings, "PUBLIC_URL": address.url}) as server:
                times[STORE].append(server.started_in)
                spent.append(cpu_seconds(server.worker))
    return {
        "megabytes": memory,
        "start": statistics.median(times[STORE]),
        "start_cpu": statistics.median(spent),
        "bare_start": statistics.median(times[BARE]),
    }


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Rss:")).split()[1]) / 1024

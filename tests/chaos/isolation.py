"""F-ISOLATION and F-POOL: a provider that hangs, and everybody else."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.asking import DOCUMENTED, landed, patiently, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.knobs import Fault
from support.cluster import GATED, HASTY, Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.herd import Asked, herd
from support.seeding import Seeded
from tokenstore.core.flight import GROUP_MOST

CALLERS = 50
READS = 400
FACTOR = 1.5
NOISE = 0.010
"""Seconds that a p99 of a few milliseconds may vary by itself."""
THREADS = 8
HANGS = {*DOCUMENTED, (503, "provider-unavailable")}


@contextmanager
def isolated(database_url: str, home: Path) -> Iterator[Trial]:
    """A provider `hung` beside a provider `fast`."""
    with (
        far_provider() as fast,
        far_provider() as hung,
        cluster(database_url, home, {"fast": fast, "hung": hung}, workers=2, app=HASTY) as store,
    ):

        def trial(_number: int) -> Finding:
            try:
                return isolation(store, hung)
            finally:
                hung.clear()

        yield trial


def isolation(store: Cluster, hung: FarProvider) -> Finding:
    """Reads of cached tokens of one provider while 50 callers at a time wait for another, which hangs for 30 s."""
    checks = Checks()
    [cached], hanging = store.seed.link("fast", expired=False), store.seed.link("hung", CALLERS)
    landed(store, hanging)
    before, threads = p99(checks, store, cached), _threads(store)
    hung.set(Fault.LATENCY, 30)
    hung.set(Fault.DROP_BEFORE)
    stopping = threading.Event()
    answers = set[tuple[int, str | None]]()

    def want() -> None:
        asked = [Asked(store.nodes[0].port, link.path, link.headers) for link in hanging]
        while not stopping.is_set():
            answers.update(told(reply) for reply in herd(asked))
            stopping.wait(1)  # as Retry-After asks for

    callers = threading.Thread(target=want)
    callers.start()
    time.sleep(1.5)  # the first of them wait as long as they do at most
    during = p99(checks, store, cached)
    refreshed = [told(patiently(checks, store, link)) for link in store.seed.link("fast", 5)]
    most = _threads(store)
    stopping.set()
    callers.join()
    checks.that(answers <= HANGS, f"told {answers - HANGS}")
    checks.that(during <= max(FACTOR * before, before + NOISE), f"p99 {before * 1e3:.1f} → {during * 1e3:.1f} ms")
    checks.same("refreshes of others", refreshed, [(200, None)] * len(refreshed))
    bound = threads + store.nodes[0].workers * (GROUP_MOST + THREADS)
    checks.that(most <= bound, f"{most} threads, {threads} before")
    checks.figures |= {"p99 before (ms)": before * 1e3, "p99 during (ms)": during * 1e3, "threads more": most - threads}
    hung.clear()
    store.nodes[0].restart()  # rather than wait for what hangs
    return checks.finding()


def p99(checks: Checks, store: Cluster, link: Seeded) -> float:
    """Of reads of a cached token, one after the other, in seconds."""
    took = []
    for _ in range(READS):
        began = time.monotonic()
        checks.same("a cached token", told(store.ask(link)), (200, None))
        took.append(time.monotonic() - began)
    return sorted(took)[len(took) * 99 // 100]


def _threads(store: Cluster) -> int:
    found = [Path(f"/proc/{pid}/status").read_text() for node in store.nodes for pid in node.worker_pids()]
    return sum(int(re.findall(r"^Threads:\s+(\d+)$", status, re.MULTILINE)[0]) for status in found)


@contextmanager
def pooled(database_url: str, home: Path) -> Iterator[Trial]:
    """A pool of five connections and no more, and a provider that hangs for 7 s."""
    options = {"pool_size": 5, "max_overflow": 0}
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, workers=1, app=GATED, SQLALCHEMY_ENGINE_OPTIONS=options) as store,
    ):
        links = store.seed.link("idp", 20)
        yield lambda _number: pool(store, idp, links)


def pool(store: Cluster, idp: FarProvider, links: list[Seeded]) -> Finding:
    """200 callers, and none is told that there is no connection."""
    checks = Checks()
    store.seed.expire(links)
    idp.set(Fault.LATENCY, 7)
    answers = {told(reply) for replies in store.herd(links, 10) for reply in replies}
    idp.clear()
    checks.that(answers <= HANGS, f"told {answers - HANGS}")
    landed(store, links)
    checks.same("connections held during calls", store.nodes[0].gates.complaints(), [])
    checks.same("afterwards", {told(patiently(checks, store, link)) for link in links}, {(200, None)})
    return checks.finding()


def _isolated(kind: Kind, databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty(kind, home) as url, isolated(url, home) as trial:
        yield trial


def _pooled(databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty("PostgreSQL", home) as url, pooled(url, home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-ISOLATION",
        "cached tokens of one provider are read while 50 callers at a time wait for another one, which hangs for 30 s",
        "p99 of the reads at most 1.5 times what it was (or 10 ms more), refreshes of others go on, threads bounded",
        [Cell(kind, 3, 15.0, contextmanager(partial(_isolated, kind))) for kind in KINDS],
    ),
    Battery(
        "F-POOL",
        "a pool of 5 connections, 200 callers for 20 links, a provider that hangs for 7 s",
        "nobody is told that there is no connection, and none is held during a call",
        [Cell("PostgreSQL", 5, 12.0, contextmanager(_pooled))],
    ),
)

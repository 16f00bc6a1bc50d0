"""F-SPOOL: a disk that takes nothing any more, before a refresh and in the middle of one."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.asking import Asking, alive, patiently, told
from chaos.databases import Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from support.cluster import GATED, Cluster, Node, cluster
from support.far_provider import FarProvider, far_provider
from support.gates import Step

STEPS = (None, Step.BEFORE_SEND, Step.AFTER_ANSWER, Step.BEFORE_SPOOL, Step.AFTER_SPOOL)
"""When the disk fills up; None: before the request."""
LIMIT = 8 * 1024
"""Bytes beyond which no file grows: less than the room that is reserved for an answer, more than an answer is."""


@contextmanager
def filling(database_url: str, home: Path, *, workers: int = 2) -> Iterator[Trial]:
    """The disk of the spool is full from one step after the other on."""
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, workers=workers, app=GATED) as store,
    ):
        yield lambda number: full(store, idp, STEPS[number % len(STEPS)])


def full(store: Cluster, idp: FarProvider, step: Step | None) -> Finding:
    """Nothing is begun on a full disk; what was begun before comes to its end."""
    checks, node = Checks(), store.nodes[0]
    [link] = store.seed.link("idp")
    calls, gates = len(idp.calls()), node.gates
    if step is None:
        with full_disk(node):
            checks.same("on a full disk", told(store.ask(link)), (503, "storage-unavailable"))
        checks.same("provider calls on a full disk", len(idp.refreshes(calls)), 0)
    else:
        gates.close(step)
        asking = Asking(store, link)
        gates.wait(step)
        with full_disk(node):
            gates.open_all()
            checks.same(f"full at {step}", told(asking.reply()), (200, None))
    checks.same("afterwards", told(patiently(checks, store, link)), (200, None))
    checks.same("provider calls", len(idp.refreshes(calls)), 1)
    checks.same("left in the spool", node.spooled(link), [])
    alive(checks, store, idp, [link])
    return checks.finding()


@contextmanager
def full_disk(node: Node) -> Iterator[None]:
    """No file of the node's processes grows beyond LIMIT: what they are told is what a full disk tells them."""
    pids = node.worker_pids()
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        for pid, limits in zip(pids, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _filling(kind: Kind, databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty(kind, home) as url, filling(url, home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-SPOOL",
        "the disk takes nothing any more, before a request and at each step of a refresh",
        "nothing is sent from a full disk (503 `storage-unavailable`); what was begun before is answered with a token",
        [Cell("PostgreSQL", 20, 0.6, contextmanager(partial(_filling, "PostgreSQL")))],
    ),
)

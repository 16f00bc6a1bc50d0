"""F-TERM: processes that are told to stop in the middle of refreshes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.asking import DOCUMENTED, Asking, alive, patiently, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.knobs import Fault
from support.cluster import Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.seeding import Seeded
from support.waiting import eventually


@contextmanager
def stopping(database_url: str, home: Path, *, links: int = 8, nodes: int = 1, workers: int = 2) -> Iterator[Trial]:
    """Orderly stops while refreshes are under way: of the workers, and each fifth time of the whole node."""
    with (
        far_provider(rotation="strict") as idp,
        cluster(database_url, home, {"idp": idp}, nodes=nodes, workers=workers) as store,
    ):
        seeded = store.seed.link("idp", links)
        yield lambda number: stop(store, idp, seeded, whole=number % 5 == 4)


def stop(store: Cluster, idp: FarProvider, links: Sequence[Seeded], *, whole: bool) -> Finding:
    """Stop the first node's processes while the provider works on a refresh of each link."""
    checks, node = Checks(), store.nodes[0]
    store.seed.expire(links)
    calls = len(idp.calls())
    idp.set(Fault.LATENCY, 0.7)
    asked = [Asking(store, link) for link in links]
    eventually(lambda: len(idp.refreshes(calls)) >= len(links), "a call for each link", seconds=15)
    idp.clear()
    if whole:
        main = node.process.process if node.process else None
        assert main is not None
        main.terminate()
        checks.same("exit status", main.wait(40), 0)
    else:
        for pid in node.worker_pids():
            os.kill(pid, signal.SIGTERM)
    for asking in asked:
        answer = told(asking.reply())
        checks.that(answer in DOCUMENTED, f"a caller was told {answer}")
    if whole:
        node.stop()
        node.start()
    checks.same("provider calls", len(idp.refreshes(calls)), len(links))
    for link in links:
        checks.same("the token afterwards", patiently(checks, store, link).status, 200)
    alive(checks, store, idp, links)
    return checks.finding()


def _stopping(kind: Kind, databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty(kind, home) as url, stopping(url, home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-TERM",
        "orderly stop, of workers and of a whole node, while 8 refreshes are under way",
        "no refresh lost, no request broken off",
        [Cell(kind, 25, 3.5, contextmanager(partial(_stopping, kind))) for kind in KINDS],
    ),
)

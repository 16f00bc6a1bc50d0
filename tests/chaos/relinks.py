"""F-RELINK: an account that is unlinked and linked again, over and over, while many read its token."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.asking import patiently, token_of, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from chaos.unlinks import DOCUMENTED, paid
from support.cluster import Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.herd import Reply
from support.seeding import Seeded

READERS = 20
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Read:
    """An answer, and when its request was begun and over (monotonic)."""

    begun: float
    over: float
    reply: Reply


class Readers:
    """Threads that ask for one link's token all the time."""

    def __init__(self, store: Cluster, link: Seeded, count: int) -> None:
        self.reads: list[Read] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(store, link, number)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _read(self, store: Cluster, link: Seeded, number: int) -> None:
        while not self._stopping.wait(0.01):
            begun = time.monotonic()
            reply = store.ask(link, node=number % len(store.nodes))
            self.reads.append(Read(begun, time.monotonic(), reply))

    def stop(self) -> list[Read]:
        """All that was read; no more is."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.reads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def relinking(database_url: str, home: Path, *, nodes: int = 1, workers: int = 2) -> Iterator[Trial]:
    """Rounds of unlinking and linking again, a link of its own for each trial."""
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, nodes=nodes, workers=workers) as store,
    ):
        yield lambda _number: relink(store, idp, store.seed.link("idp")[0])


def relink(store: Cluster, idp: FarProvider, link: Seeded) -> Finding:
    """Who asks after an unlinking gets no token from before it, and the last link is alive."""
    checks = Checks()
    gone: list[tuple[float, float]] = []
    with Readers(store, link, READERS) as readers:
        for _ in range(ROUNDS):
            time.sleep(0.2)
            checks.same("unlinked", store.unlink(link).status, 200)
            acknowledged = time.monotonic()
            time.sleep(0.1)
            gone.append((acknowledged, time.monotonic()))
            store.seed.relink(link)
        time.sleep(0.2)
        reads = readers.stop()
    answers = {told(read.reply) for read in reads}
    checks.that(answers <= DOCUMENTED, f"told {answers - DOCUMENTED}")
    for since, until in gone:
        before = {token_of(read.reply) for read in reads if read.reply.status == 200 and read.over < since}
        after = [read.reply for read in reads if read.reply.status == 200 and read.begun > since]
        checks.that(before.isdisjoint(map(token_of, after)), "a token from before an unlinking")
        within = {read.reply.status for read in reads if since < read.begun and read.over < until}
        checks.that(within <= {404}, f"told {within} while nothing was linked")
    for turn in ("first", "second"):
        checks.same(f"the {turn} refresh", told(patiently(checks, store, link)), (200, None))
        store.seed.expire([link])
    paid(store)
    *earlier, last = idp.families([link.subject])[link.subject]
    checks.same("the last grant", last, {"revoked": False, "reuses": 0, "live": 1})
    checks.same("refresh tokens of earlier grants alive", sum(grant["live"] for grant in earlier), 0)
    checks.figures["reads"] = len(reads)
    return checks.finding()


def _cell(kind: Kind) -> Cell:
    nodes = 1 if kind == "SQLite" else 2

    def opened(databases: Databases, home: Path) -> Iterator[Trial]:
        with databases.empty(kind, home) as url, relinking(url, home, nodes=nodes, workers=2 // nodes) as trial:
            yield trial

    return Cell(kind, 10, 4.0, contextmanager(opened))


BATTERIES = (
    Battery(
        "F-RELINK",
        "an account is unlinked and linked again five times while 20 read its token all the time",
        "no token from before an unlinking, none while nothing is linked; the last link refreshes twice, no refresh "
        "token of the earlier ones is alive",
        [_cell(kind) for kind in KINDS],
    ),
)

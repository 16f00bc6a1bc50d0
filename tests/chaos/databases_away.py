"""F-DB: databases that go away, stand still or are locked in the middle of a refresh."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chaos.asking import WAITING, Asking, alive, patiently, told
from chaos.databases import Databases
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from support.cluster import GATED, Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.gates import Step
from support.postgres import PostgresServer
from support.postgres_process import Order
from support.seeding import Seeded

SPOOLED = {Step.AFTER_SPOOL, Step.BEFORE_COMMIT, Step.AFTER_COMMIT}
WAYS = (Order.KILL, Order.STOP, Order.FREEZE)
AWAY = {*WAITING, "storage-unavailable"}
DOCUMENTED = {(200, None), *((503, slug) for slug in AWAY)}
RECOVERED_WITHIN = 10.0
TOLD_WITHIN = 3.5
"""Seconds from the end of the database to the answer of whoever waits."""
LOCKED = (1.0, 6.0)
"""Seconds: less and more than a statement waits for a lock."""


@contextmanager
def on_postgres(server: PostgresServer, home: Path, *, workers: int = 2) -> Iterator[Trial]:
    """PostgreSQL goes away at one step after the other, and comes back.

    When all ways have been gone, the process is killed, too, where its answer is in the spool.
    """
    steps = tuple(Step)
    with (
        server.database() as url,
        far_provider() as idp,
        cluster(url, home, {"idp": idp}, workers=workers, app=GATED) as store,
    ):

        def trial(number: int) -> Finding:
            turn, position = divmod(number, len(steps))
            step, way = steps[position], WAYS[turn % len(WAYS)]
            return outage(store, idp, server, step, way, and_kill=turn >= len(WAYS) and step in SPOOLED)

        yield trial


def outage(
    store: Cluster, idp: FarProvider, server: PostgresServer, step: Step, way: Order, *, and_kill: bool = False
) -> Finding:
    """PostgreSQL is away from this step on until the caller has its answer."""
    checks, where = Checks(), f"{way} at {step}"
    [link] = store.seed.link("idp")
    calls, gates = len(idp.calls()), store.nodes[0].gates
    gates.close(step)
    asking = Asking(store, link)
    pid = gates.wait(step)
    began = time.monotonic()
    server.obey(way)
    try:
        if and_kill:
            os.kill(pid, signal.SIGKILL)
        gates.open_all()
        checks.that(told(asking.reply()) in {*DOCUMENTED, (0, "no-answer")}, f"{where}: {told(asking.reply())}")
        checks.figures["told after (s)"] = time.monotonic() - began
        checks.that(time.monotonic() - began < TOLD_WITHIN, f"{where}: told after {time.monotonic() - began:.1f} s")
    finally:
        server.obey(Order.START)
    recovered(checks, store, idp, link, where)
    # The one, and the next.
    checks.same(f"{where}: provider calls", len(idp.refreshes(calls)), 2)
    return checks.finding()


def recovered(checks: Checks, store: Cluster, idp: FarProvider, link: Seeded, where: str) -> None:
    """Note if the link gives no token soon, if that is not the last one, or if it is not alive."""
    began = time.monotonic()
    reply = patiently(checks, store, link, waiting=AWAY)
    checks.same(f"{where}: afterwards", told(reply), (200, None))
    checks.figures["recovered after (s)"] = time.monotonic() - began
    checks.that(
        time.monotonic() - began < RECOVERED_WITHIN, f"{where}: recovered after {time.monotonic() - began:.0f} s"
    )
    store.seed.expire([link])
    again = patiently(checks, store, link, waiting=AWAY)
    checks.same(f"{where}: the next refresh", told(again), (200, None))
    alive(checks, store, idp, [link])


@contextmanager
def on_locked_sqlite(home: Path, *, workers: int = 2) -> Iterator[Trial]:
    """Another program holds the file's lock from one step after the other on."""
    file = home / "store.sqlite"
    with (
        far_provider() as idp,
        cluster(f"sqlite:///{file}", home, {"idp": idp}, workers=workers, app=GATED) as store,
    ):
        steps = tuple(Step)
        yield lambda number: locked(store, idp, file, steps[number % len(steps)], LOCKED[number // len(steps) % 2])


def locked(store: Cluster, idp: FarProvider, file: Path, step: Step, seconds: float) -> Finding:
    """The file is locked for so long from this step on."""
    checks, where = Checks(), f"locked for {seconds:g} s at {step}"
    [link] = store.seed.link("idp")
    calls, gates = len(idp.calls()), store.nodes[0].gates
    gates.close(step)
    asking = Asking(store, link)
    gates.wait(step)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        # Who waits before the commit has the lock itself.
        other.execute("BEGIN" if step is Step.BEFORE_COMMIT else "BEGIN IMMEDIATE")
        gates.open_all()
        time.sleep(seconds)
        other.execute("ROLLBACK")
    answer = told(asking.reply())
    checks.that(answer in DOCUMENTED, f"{where}: {answer}")
    recovered(checks, store, idp, link, where)
    # The one, and the next.
    checks.same(f"{where}: provider calls", len(idp.refreshes(calls)), 2)
    return checks.finding()


def _postgres(databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.server() as server, on_postgres(server, home) as trial:
        yield trial


def _sqlite(_databases: Databases, home: Path) -> Iterator[Trial]:
    with on_locked_sqlite(home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-DB",
        "at each step of a refresh: PostgreSQL killed, stopped, frozen, killed together with the process that "
        "refreshes; SQLite locked by another program for 1 s and 6 s",
        "nothing lost, one provider call, 503 within 3.5 s, tokens again within 10 s",
        [
            Cell("PostgreSQL", 36, 3.0, contextmanager(_postgres)),
            Cell("SQLite", 12, 5.0, contextmanager(_sqlite)),
        ],
    ),
)

"""F-KILL: processes that die in the middle of a refresh."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

from chaos.asking import DOCUMENTED, Asking, alive, patiently, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.config import Rotation
from demo.knobs import Fault
from support.cluster import GATED, Cluster, Node, cluster
from support.far_provider import FarProvider, far_provider
from support.gates import Step
from support.seeding import Seeded

POLICIES: tuple[Rotation, ...] = ("none", "keep-old", "grace", "strict")
LEASE = timedelta(seconds=21)
"""After it the lease of a dead process is over, and a grace is not."""
GRACE = 60.0


class Death(StrEnum):
    """When the process dies, in the order of a refresh."""

    BEFORE_SEND = Step.BEFORE_SEND
    IN_FLIGHT = "in-flight"
    PROCESSED = "processed"
    AFTER_ANSWER = Step.AFTER_ANSWER
    BEFORE_SPOOL = Step.BEFORE_SPOOL
    AFTER_SPOOL = Step.AFTER_SPOOL
    BEFORE_COMMIT = Step.BEFORE_COMMIT
    AFTER_COMMIT = Step.AFTER_COMMIT
    RANDOM = "at random"


SPOOLING = (Death.BEFORE_SPOOL, Death.AFTER_SPOOL)
SENT = {Death.IN_FLIGHT, Death.PROCESSED, Death.RANDOM}
"""At no step of ours: some time after the request was let go."""
WINDOW = {Death.PROCESSED, Death.AFTER_ANSWER, Death.BEFORE_SPOOL}
"""Where nobody can keep the link at a strict provider: it has rotated, and nothing is on our disk yet."""
LATEST = 0.06
"""Seconds within which a death at random comes."""


def deaths(rotation: Rotation) -> Sequence[Death]:
    """The deaths that there are: an answer without a new refresh token is not spooled."""
    return [death for death in Death if rotation != "none" or death not in SPOOLING]


@contextmanager
def dying(database_url: str, home: Path, *, rotation: Rotation, nodes: int = 1, workers: int = 3) -> Iterator[Trial]:
    """Kills of a worker of the first node, at one step after the other."""
    ways = deaths(rotation)
    with (
        far_provider(rotation=rotation, grace=GRACE) as idp,
        cluster(database_url, home, {"idp": idp}, nodes=nodes, workers=workers, app=GATED) as store,
    ):
        yield lambda number: death(store, idp, ways[number % len(ways)], (number // len(ways) * 0.017) % LATEST)


def death(store: Cluster, idp: FarProvider, when: Death, after: float = 0.0) -> Finding:
    """Kill the process that refreshes a new link, then see what is left of the link.

    `after`: how long a death at random comes after the request was let go, in seconds.
    """
    checks, gates = Checks(), store.nodes[0].gates
    [link] = store.seed.link("idp")
    calls, spooled_before = len(idp.calls()), len(gates.noted(Step.AFTER_SPOOL))
    try:
        _lay(store.nodes[0], idp, when)
        asking = Asking(store, link)
        os.kill(_victim(store.nodes[0], idp, when, calls, after), signal.SIGKILL)
        if when is Death.IN_FLIGHT:  # the request was sent and is not processed by anybody
            _wait_for_call(idp, calls, "dropped")
    finally:
        gates.open_all()
        idp.clear()
    answer = told(asking.reply())
    checks.that(answer in {(0, "no-answer"), *DOCUMENTED}, f"{when}: the caller was told {answer}")
    rotated = any(call["outcome"] == "200" for call in idp.refreshes(calls))
    spooled = len(gates.noted(Step.AFTER_SPOOL)) > spooled_before
    lost = not survives(checks, store, idp, link, when)
    checks.that(
        not lost or in_window(idp.rotation, when, rotated=rotated, spooled=spooled), f"{when}: the link is lost"
    )
    if lost:
        checks.that("link.lost" in store.seed.events(link), f"{when}: the loss is not told")
        checks.figures["lost in the window"] = 1
        # So many crashes in five minutes would make a mass refusal.
        store.seed.let_events_be_old([link])
    return checks.finding()


def in_window(rotation: Rotation, when: Death, *, rotated: bool, spooled: bool) -> bool:
    """Whether nobody could keep the link of such a death: its token was spent, and the answer on no disk of ours."""
    return rotation == "strict" and not spooled and (when in WINDOW or (when is Death.RANDOM and rotated))


def _lay(node: Node, idp: FarProvider, when: Death) -> None:
    """See to it, before anybody asks, that the refresh comes to a stand where its process is to die."""
    if when is Death.IN_FLIGHT:
        idp.set(Fault.LATENCY, 0.5, times=1)
        idp.set(Fault.DROP_BEFORE, times=1)
    if when is Death.PROCESSED:
        idp.set(Fault.LATENCY_AFTER, 0.5, times=1)
    node.gates.close(Step.BEFORE_SEND if when in SENT else Step(when))


def _victim(node: Node, idp: FarProvider, when: Death, calls: int, after: float) -> int:
    """The process to be killed, which is now where it is to die."""
    if when not in SENT:
        return node.gates.wait(Step(when))
    pid = node.gates.wait(Step.BEFORE_SEND)
    node.gates.open(Step.BEFORE_SEND)
    if when is Death.RANDOM:
        time.sleep(after)
    else:
        _wait_for_call(idp, calls, "pending" if when is Death.IN_FLIGHT else "200")
    return pid


def _wait_for_call(idp: FarProvider, calls: int, outcome: str) -> None:
    deadline = time.monotonic() + 10
    while not any(call["outcome"] == outcome for call in idp.refreshes(calls)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no call with outcome {outcome}")
        time.sleep(0.005)


def survives(checks: Checks, store: Cluster, idp: FarProvider, link: Seeded, when: str) -> bool:
    """Whether the link gives tokens again when the lease of the dead is over, and after the next refresh, too."""
    idp.advance(LEASE.total_seconds())
    store.seed.pass_for([link], LEASE)
    try:
        reply = patiently(checks, store, link)
        if reply.status != 200:
            checks.same(f"{when}: the answer for a link that is lost", reply.slug, "reauthorization-required")
            return False
        store.seed.expire([link])
        checks.same(f"{when}: the next refresh", told(patiently(checks, store, link)), (200, None))
        alive(checks, store, idp, [link])
        return True
    finally:
        idp.advance(-LEASE.total_seconds())


@contextmanager
def window(database_url: str, home: Path) -> Iterator[Trial]:
    """How long a strict provider has rotated and the answer is not yet in the spool."""
    with (
        far_provider(rotation="strict") as idp,
        cluster(database_url, home, {"idp": idp}, workers=1, app=GATED) as store,
    ):
        [link] = store.seed.link("idp")

        def trial(_number: int) -> Finding:
            checks, calls = Checks(), len(idp.calls())
            store.seed.expire([link])
            checks.same("answer", store.ask(link).status, 200)
            [call] = idp.refreshes(calls)
            spooled = store.nodes[0].gates.noted(Step.AFTER_SPOOL)[-1]
            checks.figures["window (ms)"] = (spooled - call["ended"]) * 1000
            return checks.finding()

        yield trial


def _dying(kind: Kind, rotation: Rotation, databases: Databases, home: Path) -> Iterator[Trial]:
    nodes = 1 if kind == "SQLite" else 2
    with (
        databases.empty(kind, home) as url,
        dying(url, home, rotation=rotation, nodes=nodes, workers=4 // nodes) as trial,
    ):
        yield trial


def _window(kind: Kind, databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty(kind, home) as url, window(url, home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-KILL",
        "`kill -9` of the process that refreshes: before sending, in flight, when the provider has rotated, after the "
        "answer, before and after the spool, before and after the commit, at random",
        "none, keep-old, grace: nothing lost; strict: nothing outside the window between rotation and spool, there one "
        "link, which is told",
        [
            *(
                Cell(
                    f"{kind}, {rotation}",
                    8 * len(deaths(rotation)),
                    1.5,
                    contextmanager(partial(_dying, kind, rotation)),
                )
                for kind in KINDS
                for rotation in POLICIES
            ),
            *(Cell(f"{kind}, width of the window", 20, 0.2, contextmanager(partial(_window, kind))) for kind in KINDS),
        ],
    ),
)

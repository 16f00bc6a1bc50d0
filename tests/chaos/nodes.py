"""F-NODES: machines that die with their spools and come back or not, and one whose clock is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from chaos.asking import Asking, alive, patiently, told
from chaos.databases import Databases
from chaos.races import race
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.config import Rotation
from support.cluster import AHEAD, BEHIND, GATED, Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.gates import Step
from support.seeding import Seeded

Shape = Callable[[str, Path], AbstractContextManager[Trial]]
LEASE = timedelta(seconds=21)
SPOOL = timedelta(seconds=95)
"""How long after a lease another machine's spool is waited for, where a refresh token works once."""
OTHER = 1


@contextmanager
def losing(database_url: str, home: Path, *, rotation: Rotation, grace: float = 300) -> Iterator[Trial]:
    """The first of two machines dies as a whole in the middle of a refresh; the other one takes over.

    grace: seconds; over sooner than the lease, or later.
    """
    works_again = rotation == "grace" and grace > LEASE.total_seconds()
    ways: list[Callable[[Cluster, FarProvider], Finding]] = [
        returns_late if works_again else returns,
        dies_before_sending,
    ]
    if rotation == "strict":
        ways.insert(1, is_lost)
    with (
        far_provider(rotation=rotation, grace=grace) as idp,
        cluster(database_url, home, {"idp": idp}, nodes=2, workers=1, app=GATED) as store,
    ):
        yield lambda number: ways[number % len(ways)](store, idp)


def returns(store: Cluster, idp: FarProvider) -> Finding:
    """It died with an answer in its spool and comes back: nobody spent the token meanwhile."""
    checks, link = Checks(), _dead_at(store, Step.AFTER_SPOOL)
    calls = len(idp.calls())
    store.seed.pass_for([link], LEASE)
    checks.same("elsewhere meanwhile", told(store.ask(link, node=OTHER)), (503, "refresh-in-progress"))
    store.nodes[0].start()
    checks.same("when it is back", told(patiently(checks, store, link)), (200, None))
    checks.same("provider calls meanwhile", len(idp.refreshes(calls)), 0)
    return _alive_on_both(checks, store, idp, link)


def is_lost(store: Cluster, _idp: FarProvider) -> Finding:
    """It died with an answer in its spool and is gone for long: at a strict provider that link is lost, and told."""
    checks, link = Checks(), _dead_at(store, Step.AFTER_SPOOL)
    store.seed.pass_for([link], LEASE + SPOOL)
    reply = patiently(checks, store, link, node=OTHER)
    checks.same("elsewhere", told(reply), (409, "reauthorization-required"))
    checks.that("link.lost" in store.seed.events(link), "the loss is not told")
    checks.figures["lost with the machine"] = 1
    store.nodes[0].start()
    return checks.finding()


def returns_late(store: Cluster, idp: FarProvider) -> Finding:
    """Another machine took over within the grace; what lies in the dead one's spool is older and harms nothing."""
    checks, link = Checks(), _dead_at(store, Step.AFTER_SPOOL)
    store.seed.pass_for([link], LEASE)
    checks.same("elsewhere", told(patiently(checks, store, link, node=OTHER)), (200, None))
    store.nodes[0].start()
    return _alive_on_both(checks, store, idp, link)


def dies_before_sending(store: Cluster, idp: FarProvider) -> Finding:
    """Nothing was sent: another machine refreshes."""
    checks, link = Checks(), _dead_at(store, Step.BEFORE_SEND)
    store.seed.pass_for([link], LEASE + SPOOL)
    checks.same("elsewhere", told(patiently(checks, store, link, node=OTHER)), (200, None))
    store.nodes[0].start()
    return _alive_on_both(checks, store, idp, link)


def _dead_at(store: Cluster, step: Step) -> Seeded:
    """A new link whose refresh the first machine had come to this step with when it died."""
    [link], gates = store.seed.link("idp"), store.nodes[0].gates
    gates.close(step)
    asking = Asking(store, link)
    gates.wait(step)
    store.nodes[0].kill()
    gates.open_all()
    asking.reply()
    return link


def _alive_on_both(checks: Checks, store: Cluster, idp: FarProvider, link: Seeded) -> Finding:
    for node in range(len(store.nodes)):
        store.seed.expire([link])
        checks.same(f"next on node {node + 1}", told(patiently(checks, store, link, node=node)), (200, None))
    alive(checks, store, idp, [link])
    return checks.finding()


@contextmanager
def skewed(database_url: str, home: Path, *, app: str) -> Iterator[Trial]:
    """Races over two machines, the clock of one of which is wrong."""
    with far_provider() as idp, cluster(database_url, home, {"idp": idp}, nodes=2, workers=1) as store:
        store.nodes[OTHER].restart(app=app)
        links = store.seed.link("idp", 10)

        def trial(_number: int) -> Finding:
            checks, calls = Checks(), len(idp.calls())
            raced = race(store, idp, links, 10, all_at_once=False)
            checks.deviations += raced.deviations
            for node in range(len(store.nodes)):
                left = [store.ask(link, node=node).json().get("expires_in", 0) for link in links]
                checks.that(
                    min(left) > 3300 and max(left) <= 3600, f"node {node + 1} says {min(left)} to {max(left)} s"
                )
            checks.same("provider calls in all", len(idp.refreshes(calls)), len(links))
            return checks.finding()

        yield trial


def _cell(name: str, trials: int, seconds: float, shape: Shape) -> Cell:
    def opened(databases: Databases, home: Path) -> Iterator[Trial]:
        with databases.empty("PostgreSQL", home) as url, shape(url, home) as trial:
            yield trial

    return Cell(name, trials, seconds, contextmanager(opened))


BATTERIES = (
    Battery(
        "F-NODES",
        "two machines that share the database alone; one dies as a whole before sending or with an answer in its "
        "spool, and comes back soon, late or never; or its clock is 5 min off",
        "nothing lost where it comes back or a grace helps; at a strict provider, gone for longer than 90 s: one link, "
        "which is told; one refresh per token whatever the clock",
        [
            _cell("strict", 9, 6.0, partial(losing, rotation="strict")),
            _cell("grace", 6, 6.0, partial(losing, rotation="grace")),
            _cell("short grace", 3, 6.0, partial(losing, rotation="grace", grace=3)),
            _cell("clock ahead", 10, 0.8, partial(skewed, app=AHEAD)),
            _cell("clock behind", 10, 0.8, partial(skewed, app=BEHIND)),
        ],
    ),
)

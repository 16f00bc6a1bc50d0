"""F-RACE1, F-RACE2, F-VARIANT: many callers at the same moment over several processes, reuse is detected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path

from chaos.asking import DOCUMENTED, alive, token_of
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.knobs import Fault
from support.cluster import Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.herd import Asked, herd
from support.seeding import Seeded

_SCOPES = ("openid", "email", "offline_access")
Shape = Callable[..., AbstractContextManager[Trial]]
"""Sets a race up, given the URL of a database and a folder, with so many `nodes` and `workers`."""
VARIANTS = ["", *("?scope=" + "%20".join(some) for size in (1, 2, 3) for some in combinations(_SCOPES, size))]


@contextmanager
def racing(
    database_url: str, home: Path, *, nodes: int, workers: int, latency: float
) -> Iterator[tuple[Cluster, FarProvider]]:
    """A store and a strict provider that takes its time."""
    with far_provider(rotation="strict") as idp:
        if latency:
            idp.set(Fault.LATENCY, latency)
        with cluster(database_url, home, {"idp": idp}, nodes=nodes, workers=workers) as store:
            yield store, idp


@contextmanager
def one_link(
    database_url: str,
    home: Path,
    *,
    callers: int,
    latency: float,
    nodes: int = 1,
    workers: int = 4,
    all_at_once: bool = False,
) -> Iterator[Trial]:
    """`callers` concurrent requests for one link whose token has ended; `all_at_once`: as for `race`."""
    with racing(database_url, home, nodes=nodes, workers=workers, latency=latency) as (store, idp):
        [link] = store.seed.link("idp")
        # Each process has read the provider's metadata and keys before.
        store.herd([link], 16 * nodes * workers)

        def trial(_number: int) -> Finding:
            return race(store, idp, [link], callers, all_at_once=all_at_once)

        yield trial


@contextmanager
def many_links(
    database_url: str, home: Path, *, links: int, callers: int, nodes: int = 1, workers: int = 4
) -> Iterator[Trial]:
    """`callers` concurrent requests for each of many links whose tokens have ended."""
    with racing(database_url, home, nodes=nodes, workers=workers, latency=0) as (store, idp):
        seeded = store.seed.link("idp", links)

        def trial(_number: int) -> Finding:
            return race(store, idp, seeded, callers, all_at_once=False)

        yield trial


def race(store: Cluster, idp: FarProvider, links: Sequence[Seeded], callers: int, *, all_at_once: bool) -> Finding:
    """One race over links whose tokens end before it; `all_at_once`: nobody may be told to come again."""
    checks = Checks()
    store.seed.expire(links)
    before, calls = _tokens(store, links), len(idp.calls())
    answers = store.herd(links, callers)
    flat = [reply for replies in answers for reply in replies]
    told = Counter((reply.status, reply.slug) for reply in flat)
    checks.that(set(told) <= DOCUMENTED, f"answers {dict(told)}")
    if all_at_once:
        checks.same("answers", dict(told), {(200, None): callers * len(links)})
    checks.that(
        all("retry-after" in reply.headers for reply in flat if reply.status == 503), "a 503 without Retry-After"
    )
    for link, replies in zip(links, answers, strict=True):
        # Whoever was told to come again does so.
        given = {token_of(reply) for reply in [*replies, store.ask(link)] if reply.status == 200}
        checks.that(len(given) == 1, f"{len(given)} different tokens")
        checks.that(not given & before, "an ended token")
    checks.same("provider calls", len(idp.refreshes(calls)), len(links))
    alive(checks, store, idp, links)
    checks.figures["last answer (s)"] = max(reply.seconds for reply in flat)
    checks.figures["told to come again"] = told[503, "refresh-in-progress"]
    return checks.finding()


@contextmanager
def variants(database_url: str, home: Path, *, nodes: int = 1, workers: int = 4) -> Iterator[Trial]:
    """Eight variants of one link at the same moment."""
    with racing(database_url, home, nodes=nodes, workers=workers, latency=0.02) as (store, idp):
        # Another link each time: no link has its variants fetched again and again.
        yield lambda _number: race_of_variants(store, idp, store.seed.link("idp")[0])


def race_of_variants(store: Cluster, idp: FarProvider, link: Seeded) -> Finding:
    """Each variant is wanted once; who is told to come again does so until all have one."""
    checks = Checks()
    store.seed.expire([link])
    calls, missing, rounds = len(idp.calls()), list(VARIANTS), 0
    tokens: dict[str, str] = {}
    while missing and rounds < 20:
        rounds += 1
        ports = [node.port for node in store.nodes]
        asked = [Asked(ports[n % len(ports)], link.path + query, link.headers) for n, query in enumerate(missing)]
        replies = herd(asked)
        told = {(reply.status, reply.slug) for reply in replies}
        checks.that(told <= DOCUMENTED, f"answers {told}")
        tokens |= {query: token_of(reply) for query, reply in zip(missing, replies, strict=True) if reply.status == 200}
        missing = [query for query in missing if query not in tokens]
    checks.same("variants without a token", missing, [])
    checks.same("different tokens", len(set(tokens.values())), len(VARIANTS))
    made = idp.refreshes(calls)
    checks.same("provider calls", len(made), len(VARIANTS))
    checks.that(all(a["ended"] <= b["at"] for a, b in pairwise(made)), "two calls at the same time")
    alive(checks, store, idp, [link])
    checks.figures["rounds"] = rounds
    return checks.finding()


def _tokens(store: Cluster, links: Sequence[Seeded]) -> set[str]:
    """The access tokens that the store has for these links."""
    return {token for link in links if (token := store.seed.token(link)) is not None}


@contextmanager
def on(kind: Kind, shape: Shape, databases: Databases, home: Path) -> Iterator[Trial]:
    """The shape on an empty database: one node of four processes on SQLite, two of two on PostgreSQL."""
    nodes = 1 if kind == "SQLite" else 2
    with databases.empty(kind, home) as url, shape(url, home, nodes=nodes, workers=4 // nodes) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-RACE1",
        "1,000 concurrent requests for one link whose token has ended, over 4 processes (PostgreSQL: on 2 nodes)",
        "exactly one provider call, one token for all; at most 50 ms provider latency: 1,000 times 200",
        [
            Cell(
                f"{kind}, {latency * 1000:.0f} ms",
                50,
                1.6,
                partial(on, kind, partial(one_link, callers=1000, latency=latency, all_at_once=latency <= 0.05)),
            )
            for kind in KINDS
            for latency in (0, 0.05, 0.5)
        ],
    ),
    Battery(
        "F-RACE2",
        "20 concurrent requests for each of 100 links, and 50 for each of 200",
        "as many provider calls as links, no reuse detected, no link broken",
        [
            Cell(
                f"{kind}, {links} links by {callers}",
                trials,
                seconds,
                partial(on, kind, partial(many_links, links=links, callers=callers)),
            )
            for kind in KINDS
            for links, callers, trials, seconds in ((100, 20, 15, 6.0), (200, 50, 3, 25.0))
        ],
    ),
    Battery(
        "F-VARIANT",
        "8 variants of one link at the same moment",
        "8 provider calls, one after another, no reuse detected",
        [Cell(kind, 100, 0.7, partial(on, kind, variants)) for kind in KINDS],
    ),
)

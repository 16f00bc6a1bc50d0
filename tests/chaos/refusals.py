"""F-MASS and F-RESTORE: providers that refuse every link, or the store itself, and databases from yesterday."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from chaos.asking import WAITING, alive, landed, patiently, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.knobs import Fault
from support.cluster import HASTY, Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.herd import Reply
from support.seeding import Seeded
from tokenstore.core.flight import GROUP_MOST

Shape = Callable[[str, Path], AbstractContextManager[Trial]]
MISCONFIGURED = "provider-misconfigured"
UNTIL_BELIEVED = timedelta(minutes=2)
"""Longer than a link that was refused once waits for its next turn."""


@contextmanager
def refusing(database_url: str, home: Path, *, links: int, workers: int = 2) -> Iterator[Trial]:
    """A provider that refuses everything for a while: `invalid_grant` and `invalid_client` in turns."""
    codes = ("invalid_grant", "invalid_client")
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, workers=workers, app=HASTY) as store,
    ):
        yield lambda number: mass(store, idp, store.seed.link("idp", links), codes[number % 2])


def mass(store: Cluster, idp: FarProvider, links: Sequence[Seeded], code: str) -> Finding:
    """Every link is asked for again and again while the provider refuses them all."""
    checks = Checks()
    idp.set(Fault.ERROR, code)
    told_all: Counter[str | None] = Counter()
    for _ in range(4):
        told_all.update(reply.slug for reply in everybody(store, links))
        store.seed.pass_for(links, UNTIL_BELIEVED)
    documented = WAITING | {MISCONFIGURED}
    checks.that(set(told_all) <= documented, f"{code}: told {dict(told_all)}")
    checks.same(f"{code}: broken", store.seed.states(links).get("broken", 0), 0)
    idp.clear()
    if code == "invalid_grant":
        checks.same("lifted", store.nodes[0].flask("providers", "resume", "idp").strip(), "resumed")
        store.seed.pass_for(links, UNTIL_BELIEVED)
    everybody_well(checks, store, idp, links, code)
    return checks.finding()


def everybody(store: Cluster, links: Sequence[Seeded]) -> list[Reply]:
    """One answer for each link, when nothing is under way any more."""
    replies = [replies[0] for replies in store.herd(links, 1)]
    landed(store, links)
    return replies


def everybody_well(checks: Checks, store: Cluster, idp: FarProvider, links: Sequence[Seeded], where: str) -> None:
    """Note every link that gives no token again."""
    everybody(store, links)  # most of them at once
    waiting = WAITING | {MISCONFIGURED}
    answers = Counter(told(patiently(checks, store, link, waiting=waiting)) for link in links)
    checks.same(f"{where}: afterwards", dict(answers), {(200, None): len(links)})
    alive(checks, store, idp, links)


@contextmanager
def wrong_secret(database_url: str, home: Path, *, links: int = 40) -> Iterator[Trial]:
    """The operator sets a wrong client secret, starts the store with it, and mends that."""
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, app=HASTY) as store,
    ):
        right, node = store.settings, store.nodes[0]

        def trial(_number: int) -> Finding:
            checks, seeded = Checks(), store.seed.link("idp", links)
            node.restart({**right, "IDP_CLIENT_SECRET": "wrong"})
            slugs = set[str | None]()
            for _ in range(3):
                slugs |= {reply.slug for reply in everybody(store, seeded)}
                store.seed.pass_for(seeded, UNTIL_BELIEVED)
            checks.that(MISCONFIGURED in slugs <= {MISCONFIGURED, *WAITING}, f"told {slugs}")
            checks.same("states with the wrong secret", store.seed.states(seeded), {"active": links})
            node.restart(right)
            everybody_well(checks, store, idp, seeded, "with the right secret")
            return checks.finding()

        yield trial


@contextmanager
def restored(database_url: str, home: Path, *, links: int = 120) -> Iterator[Trial]:
    """The database is that of yesterday: every refresh token in it has been used since, at a strict provider."""
    with (
        far_provider() as idp,
        cluster(database_url, home, {"idp": idp}, app=HASTY) as store,
    ):

        def trial(_number: int) -> Finding:
            checks, seeded = Checks(), store.seed.link("idp", links)
            yesterday = store.seed.rows(seeded)
            everybody_well(checks, store, idp, seeded, "before")
            store.seed.put_back(yesterday)
            calls = len(idp.calls())
            for _ in range(3):
                everybody(store, seeded)
                store.seed.pass_for(seeded, UNTIL_BELIEVED)
            tries = Counter(call["refresh_fingerprint"] for call in idp.refreshes(calls))
            checks.same("broken", store.seed.states(seeded).get("broken", 0), 0)
            checks.that(max(tries.values()) == 1, f"{max(tries.values())} tries of one link")
            checks.figures["links tried"] = len(tries)
            # More than a fifth of all, and those that were under way then.
            under_way = GROUP_MOST * store.nodes[0].workers
            checks.that(len(tries) <= links / 4 + 1 + under_way, f"{len(tries)} links tried")
            store.nodes[0].flask("providers", "resume", "idp")
            return checks.finding()

        yield trial


def _cell(kind: Kind, shape: Shape, name: str, trials: int, seconds: float) -> Cell:
    def opened(databases: Databases, home: Path) -> Iterator[Trial]:
        with databases.empty(kind, home) as url, shape(url, home) as trial:
            yield trial

    return Cell(name, trials, seconds, contextmanager(opened))


BATTERIES = (
    Battery(
        "F-MASS",
        "a provider refuses 250 links again and again, with `invalid_grant` or `invalid_client`; the operator sets a "
        "wrong client secret and mends it",
        "no link broken; tokens for all of them when the provider takes them again",
        [
            *(_cell(kind, partial(refusing, links=250), f"{kind}, refused", 4, 20.0) for kind in KINDS),
            _cell("PostgreSQL", wrong_secret, "PostgreSQL, wrong secret", 2, 25.0),
        ],
    ),
    Battery(
        "F-RESTORE",
        "the store goes on with yesterday's database: 120 links whose refresh tokens have been used, strict provider",
        "quarantine; no link broken, none tried twice",
        [_cell("PostgreSQL", restored, "PostgreSQL", 5, 12.0)],
    ),
)

"""F-RVR: links that are unlinked, linked again, or both, at each step of a refresh."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.asking import WAITING, Asking, patiently, told
from chaos.databases import KINDS, Databases, Kind
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.config import Revocation
from support.cluster import GATED, Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.gates import Step
from support.seeding import Seeded

Acts = tuple[str, ...]
ACTS: tuple[Acts, ...] = (("unlink",), ("relink",), ("unlink", "relink"), ("relink", "unlink"))
PAIRS = [(step, acts) for step in Step for acts in ACTS]
DOCUMENTED = {(200, None), (404, "not-linked"), *((503, slug) for slug in WAITING)}
LOCKED = 0.2
"""Seconds for which a row is kept locked."""
REVOCATIONS: tuple[Revocation, ...] = ("grant", "token")


@contextmanager
def interleaving(
    database_url: str, home: Path, *, revocation: Revocation, nodes: int = 1, workers: int = 2
) -> Iterator[Trial]:
    """One interleaving after the other, each with a link of its own."""
    with (
        far_provider(revocation=revocation) as idp,
        cluster(
            database_url, home, {"idp": idp}, nodes=nodes, workers=workers, app=GATED, IDP_REVOCATION=revocation
        ) as store,
    ):

        def trial(number: int) -> Finding:
            step, acts = PAIRS[number % len(PAIRS)]
            return interleave(store, idp, step, acts, revokes_grant=revocation == "grant")

        yield trial


def interleave(store: Cluster, idp: FarProvider, step: Step, acts: Acts, *, revokes_grant: bool) -> Finding:
    """Do this with a link while its refresh stands at a step, and see what the store gives and the provider takes."""
    checks, where, gates = Checks(), f"{', '.join(acts)} at {step}", store.nodes[0].gates
    [link] = store.seed.link("idp")
    gates.close(step)
    asking = Asking(store, link)
    gates.wait(step)
    begun = list[int]()

    def act() -> None:
        for one in acts:
            begun.append(len(idp.calls()))
            ACT[one](checks, store, link)

    acting = threading.Thread(target=act)
    acting.start()
    # Before the commit the refresh has the row: whoever wants it waits for that.
    acting.join(LOCKED if step is Step.BEFORE_COMMIT else None)
    gates.open_all()
    acting.join()
    answer = told(asking.reply())
    checks.that(answer in DOCUMENTED, f"{where}: the caller was told {answer}")
    if acts[-1] == "unlink":
        after = step is not Step.BEFORE_COMMIT  # there the caller may have been first
        checks.that(not after or answer != (200, None), f"{where}: a token after the unlinking")
        checks.same(f"{where}: the next answer", told(store.ask(link, node=-1)), (404, "not-linked"))
        paid(store)
        *earlier, last = idp.families([link.subject])[link.subject]
        checks.same(f"{where}: refresh tokens alive", last["live"], 0)
        _forgotten(checks, where, earlier, revokes_grant=revokes_grant)
        return checks.finding()
    for turn in ("first", "second"):
        checks.same(f"{where}: the {turn} refresh", told(patiently(checks, store, link, node=-1)), (200, None))
        store.seed.expire([link])
    paid(store)
    *earlier, last = idp.families([link.subject])[link.subject]
    _forgotten(checks, where, earlier, revokes_grant=revokes_grant)
    checks.same(f"{where}: the new grant", last, {"revoked": False, "reuses": 0, "live": 1})
    if revokes_grant:
        revoked = [call for call in idp.calls(begun[-1]) if call["endpoint"] == "revoke"]
        checks.same(f"{where}: revocations that could end the new grant", len(revoked), 0)
    return checks.finding()


def _forgotten(checks: Checks, where: str, earlier: Sequence[Mapping[str, Any]], *, revokes_grant: bool) -> None:
    """Note what lives on of earlier grants; where revoking a token ends the grant, it could be the new one's too."""
    if not revokes_grant:
        alive = sum(grant["live"] for grant in earlier)
        checks.same(f"{where}: refresh tokens of earlier grants alive", alive, 0)


def paid(store: Cluster) -> None:
    """Return when nothing is to be revoked any more."""
    for _ in range(3):
        if store.seed.owed():
            store.seed.let_owed_be_due()
            store.nodes[0].flask("keeper", "--once")


def unlinked(checks: Checks, store: Cluster, link: Seeded) -> None:
    """Unlink it."""
    checks.same("unlinked", store.unlink(link).status, 200)


def linked_again(_checks: Checks, store: Cluster, link: Seeded) -> None:
    """Link the same account again."""
    store.seed.relink(link)


ACT: dict[str, Callable[[Checks, Cluster, Seeded], None]] = {"unlink": unlinked, "relink": linked_again}


def _cell(kind: Kind, revocation: Revocation) -> Cell:
    nodes = 1 if kind == "SQLite" else 2

    def opened(databases: Databases, home: Path) -> Iterator[Trial]:
        with (
            databases.empty(kind, home) as url,
            interleaving(url, home, revocation=revocation, nodes=nodes, workers=2 // nodes) as trial,
        ):
            yield trial

    return Cell(f"{kind}, REVOCATION={revocation}", 2 * len(PAIRS), 0.8, contextmanager(opened))


BATTERIES = (
    Battery(
        "F-RVR",
        "a link is unlinked, linked again, both, and the other way round, at each step of its refresh",
        "no token after the unlinking is acknowledged, and no refresh token alive at the provider (of earlier "
        "grants: where revoking a token ends it alone); a new link refreshes twice, and nothing revokes it",
        [_cell(kind, revocation) for kind in KINDS for revocation in REVOCATIONS],
    ),
)

"""Refreshing, linking and unlinking the same links at the same time."""

from __future__ import annotations

from datetime import timedelta

from support.harness import ANN, Harness, account, event, in_parallel, new_link, provider, tokens
from tokenstore.core.model import Asked, LinkState, ProviderId

ROUNDS = 15
WORKERS = 8
IDP1 = ProviderId("idp1")
LENGTH = timedelta(seconds=20)


def test_links_stay_whole_whatever_happens_at_once(stores: Harness) -> None:
    at = provider(revokes_grant=False)

    def work(worker: int) -> None:
        for turn in range(ROUNDS):
            name = f"{worker}-{turn}"
            match (worker + turn) % 4:
                case 0:
                    stores.links.attach(new_link(at=at, who=account(f"s-{turn % 3}"), received=tokens(name)), event())
                case 1:
                    stores.links.unlink(ANN.identity, IDP1, None, event())
                case _:
                    refresh(name)

    def refresh(name: str) -> None:
        for standing in stores.links.standings(ANN.identity):
            lease = stores.links.take_lease(standing.link, name, LENGTH)
            if lease is not None:
                received = tokens(f"a-{name}", f"r-{name}")
                if stores.links.save_refreshed(lease, at, received, Asked(), timedelta(), event()) is None:
                    stores.links.settle_superseded(lease.link, at, received)

    stores.links.attach(new_link(at=at, who=account("s-0")), event())
    in_parallel(WORKERS, work)

    standings = stores.links.standings(ANN.identity)
    assert sum(standing.link.is_default for standing in standings) == min(1, len(standings))
    for standing in standings:
        assert standing.link.state is LinkState.ACTIVE
        assert standing.link.lease_until is None
        holding = stores.links.read(ANN.identity, IDP1, standing.link.id, Asked().variant)
        assert holding is not None
        assert holding.token is not None
        assert stores.links.take_lease(standing.link, "after", LENGTH) is not None
    assert all(stores.outbox.claim(row, LENGTH) is not None for row in stores.owed())

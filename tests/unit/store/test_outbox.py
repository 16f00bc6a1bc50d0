"""What a linking received whose commit is only late: told that it failed, it gives back what its link is made of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import pytest
from sqlalchemy import event as hooks

from support.harness import ANN, account, event, new_link, provider
from support.stores import SqlStores, sql_stores
from tokenstore.core.secret import Secret


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


@pytest.mark.parametrize("revokes_grant", [False, True])
def test_what_a_late_commit_stores_is_not_revoked(stores: SqlStores, *, revokes_grant: bool) -> None:
    at = provider(revokes_grant=revokes_grant)
    stores.users.remember(ANN)
    committing, answer = Event(), Event()

    def stall(_connection: object) -> None:
        if not committing.is_set():
            committing.set()
            answer.wait(30)

    hooks.listen(stores.engine, "commit", stall)
    with ThreadPoolExecutor(2) as threads:
        linking = threads.submit(stores.links.attach, new_link(at=at), event())
        assert committing.wait(30)
        giving_back = threads.submit(stores.outbox.queue_revocation, at, ANN.identity, Secret("refresh-1"), account())
        assert wait([giving_back], 0.2).not_done
        answer.set()
        assert giving_back.result(30) is None
        assert linking.result(30).has_refresh_token

"""A PostgreSQL that stands still: its connections stay, nothing answers. Callers are told soon, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from chaos.asking import told
from support.cluster import cluster
from support.far_provider import far_provider
from support.harness import ANN, in_parallel, new_link, provider, tokens
from support.harness import event as audit_event
from support.herd import Asked as Wanted
from support.herd import herd
from support.postgres import PostgresServer, running_postgres
from support.postgres_process import Order
from support.stores import SqlStores, sql_stores
from support.waiting import eventually
from tokenstore.core.model import Asked, Lease, ProviderId
from tokenstore.core.secret import Secret
from tokenstore.errors import StorageUnavailable
from tokenstore.store.patience import unhurried

IDP1 = ProviderId("idp1")
MINUTE = timedelta(minutes=1)
TOLD_WITHIN = 3.5
"""Seconds: three, and something for a busy machine."""
RECOVERED_WITHIN = 10.0
MANY = 40
"""More than there are connections for in a process."""

OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def stores(server: PostgresServer) -> Iterator[SqlStores]:
    with server.database() as url, sql_stores(url) as made:
        yield made


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    server.obey(Order.FREEZE)
    try:
        yield
    finally:
        server.obey(Order.START)


def refused(work: Callable[[], object]) -> float:
    """How long it took until the database was called unavailable, in seconds."""
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        work()
    return time.monotonic() - began


def refused_at_commit(server: PostgresServer, stores: SqlStores, work: Callable[[], object]) -> float:
    """The same of one whose COMMIT goes to a server that freezes just before, and goes on afterwards."""

    def freeze(_: Connection) -> None:
        server.obey(Order.FREEZE)

    event.listen(stores.engine, "commit", freeze, once=True)
    try:
        return refused(work)
    finally:
        server.obey(Order.START)


def read(stores: SqlStores) -> object:
    return stores.links.read(ANN.identity, IDP1, None, Asked().variant)


def write(stores: SqlStores) -> None:
    stores.audit.record(audit_event())


def others(stores: SqlStores) -> int:
    with stores.database.reading() as connection:
        return int(connection.execute(text(OTHERS)).scalar_one())


def answers(stores: SqlStores, ask: Callable[[SqlStores], object] = others) -> bool:
    """Whether the database can be used."""
    try:
        ask(stores)
    except StorageUnavailable:
        return False
    return True


@pytest.mark.parametrize("ask", [read, others, write])
def test_a_statement_on_an_open_connection_is_given_up(
    server: PostgresServer, stores: SqlStores, ask: Callable[[SqlStores], object]
) -> None:
    stores.links.attach(new_link(), audit_event())
    ask(stores)
    with frozen(server):
        first, second = refused(lambda: ask(stores)), refused(lambda: ask(stores))
    assert max(first, second) < TOLD_WITHIN
    eventually(lambda: answers(stores, ask), "the database to answer again")


def test_many_callers_do_not_wait_for_each_other_and_leave_no_connection(
    server: PostgresServer, stores: SqlStores
) -> None:
    stores.links.attach(new_link(), audit_event())
    works: list[Callable[[SqlStores], object]] = [read, others, write]
    in_parallel(MANY, lambda number: works[number % 3](stores))
    with frozen(server):
        waited = in_parallel(MANY, lambda number: refused(lambda: works[number % 3](stores)))
        waited += in_parallel(MANY, lambda number: refused(lambda: works[number % 3](stores)))
    began = time.monotonic()
    eventually(lambda: answers(stores, write), "the database to answer again")
    in_parallel(MANY, lambda number: works[number % 3](stores))
    assert time.monotonic() - began < RECOVERED_WITHIN
    assert max(waited) < TOLD_WITHIN
    stores.database.hot.close()
    stores.engine.dispose()
    eventually(lambda: others(stores) == 0, "the connections that were given up to end")


def test_a_statement_that_was_given_up_does_not_go_on_in_the_server(stores: SqlStores) -> None:
    def sleep() -> None:
        with stores.database.reading() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))

    assert refused(sleep) < TOLD_WITHIN
    eventually(lambda: others(stores) == 0, "the statement to end")


def test_what_may_take_long_is_waited_for(stores: SqlStores) -> None:
    with unhurried(), stores.database.writing() as connection:
        assert connection.execute(text("SELECT 1 FROM pg_sleep(2.5)")).scalar_one() == 1


def test_a_commit_whose_answer_was_lost_is_recognised_when_it_is_repeated(
    server: PostgresServer, stores: SqlStores
) -> None:
    link = stores.links.attach(new_link(), audit_event())
    lease = stores.links.take_lease(link, "node", MINUTE)
    assert lease is not None
    received = tokens("access-2", "refresh-2")

    def save() -> object:
        return stores.links.save_refreshed(lease, provider(), received, Asked(), timedelta(), audit_event())

    assert refused_at_commit(server, stores, save) < TOLD_WITHIN
    eventually(lambda: answers(stores), "the database to answer again")
    if save() is None:  # the first one was carried out
        assert stores.links.settle_superseded(lease.link, provider(), received) is None
    base = stores.links.base(link.id)
    assert base is not None
    assert (base.link.version, base.refresh_token) == (link.version + 1, Secret("refresh-2"))
    again = stores.links.take_lease(base.link, "node", MINUTE)
    assert again is not None
    assert again.previous_token is None


def test_a_lease_whose_commit_was_not_answered_can_be_given_back(server: PostgresServer, stores: SqlStores) -> None:
    link = stores.links.attach(new_link(), audit_event())
    assert refused_at_commit(server, stores, lambda: stores.links.take_lease(link, "node/1", MINUTE)) < TOLD_WITHIN
    eventually(lambda: answers(stores), "the database to answer again")
    # This waits for the row where the server has not come to the COMMIT yet.
    stores.links.release_lease(Lease(link, "node/1", link.version, Secret(""), None), None)
    assert stores.links.take_lease(link, "node/2", MINUTE) is not None


def test_callers_of_a_store_are_told_and_it_is_not_ready(server: PostgresServer, tmp_path: Path) -> None:
    with (
        server.database() as url,
        far_provider() as idp,
        cluster(url, tmp_path, {"idp": idp}, workers=1) as store,
    ):
        links = store.seed.link("idp", 8)
        fresh = [reply for of_one in store.herd(links, 2) for reply in of_one]
        assert {told(reply) for reply in fresh} == {(200, None)}
        port = store.nodes[0].port
        store.seed.expire(links[:4])
        with frozen(server):
            waited: list[float] = []
            for _ in range(2):
                began = time.monotonic()
                replies = [reply for of_one in store.herd(links, 1) for reply in of_one]
                waited.append(time.monotonic() - began)
                assert {told(reply) for reply in replies} == {(503, "storage-unavailable")}
                began = time.monotonic()
                [ready] = herd([Wanted(port, "/readyz", {})])
                waited.append(time.monotonic() - began)
                assert ready.status == 503
        began = time.monotonic()
        eventually(
            lambda: all(told(reply) == (200, None) for of_one in store.herd(links, 1) for reply in of_one),
            "tokens again",
        )
        assert time.monotonic() - began < RECOVERED_WITHIN
        assert max(waited) < TOLD_WITHIN, waited

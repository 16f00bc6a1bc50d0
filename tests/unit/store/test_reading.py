"""The hot path: one statement, by indexes, without a transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from psycopg.pq import Trace
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from support.harness import ANN, account, in_parallel, new_link
from support.harness import event as audit_event
from support.stores import SqlStores, open_database, sql_stores, stores_over
from tokenstore.core.model import Asked, Cached, Holding, LinkId, ProviderId
from tokenstore.errors import StorageUnavailable
from tokenstore.store.engine import Database, prepare_engine
from tokenstore.store.hot_connections import IDLE_SECONDS, HotConnections
from tokenstore.store.tables import metadata

Ask = Callable[..., Cached | Holding | None]


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def read(stores: SqlStores, link_id: LinkId | None = None) -> Holding | None:
    return stores.links.read(ANN.identity, ProviderId("idp1"), link_id, Asked().variant)


def cached(stores: SqlStores, link_id: LinkId | None = None) -> Cached | None:
    return stores.links.cached(ANN.identity, ProviderId("idp1"), link_id, Asked().variant)


READS = pytest.mark.parametrize("ask", [cached, read])


@contextmanager
def watched(stores: SqlStores, folder: Path) -> Iterator[Callable[[], list[str]]]:
    """What is sent from now on over connections made from now on: SQLite's statements, PostgreSQL's messages."""
    if stores.engine.dialect.name == "sqlite":
        statements: list[str] = []

        @event.listens_for(stores.engine, "connect")
        def trace_statements(connection: Any, _record: object) -> None:
            connection.set_trace_callback(statements.append)

        stores.engine.dispose()
        yield lambda: statements
        return
    with (folder / "trace").open("w+") as file:

        @event.listens_for(stores.engine, "connect")
        def trace_messages(connection: Any, _record: object) -> None:
            connection.pgconn.trace(file.fileno())
            connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

        stores.engine.dispose()
        yield lambda: re.findall(r"^F\t\d+\t(\w+)", Path(file.name).read_text(), re.MULTILINE)
        stores.engine.dispose()  # before the file goes


@READS
def test_a_read_is_one_statement(stores: SqlStores, tmp_path: Path, ask: Ask) -> None:
    link = stores.links.attach(new_link(), audit_event())
    with watched(stores, tmp_path) as sent:
        for link_id in (None, link.id):
            ask(stores, link_id)
            before = len(sent())
            ask(stores, link_id)
            said = [one.split()[0] for one in sent()[before:]]
            assert said in (["SELECT"], ["Bind", "Describe", "Execute", "Sync"])


@READS
def test_a_read_uses_indexes_only(sqlite_url: str, tmp_path: Path, ask: Ask) -> None:
    with sql_stores(sqlite_url) as stores:
        with watched(stores, tmp_path) as sent:
            ask(stores)
            (statement,) = [one for one in sent() if one.startswith("SELECT")]
        with stores.database.reading() as connection:
            plans = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    assert len(plans) == 3
    assert all(plan.startswith("SEARCH") and "INDEX" in plan for plan in plans)
    assert "uq_link_default" in plans[1]


def test_the_list_of_links_is_one_statement_for_all_of_them(stores: SqlStores, tmp_path: Path) -> None:
    links = [stores.links.attach(new_link(who=account(name)), audit_event()) for name in ("one", "two", "three")]
    with watched(stores, tmp_path) as sent:
        stores.links.standings(ANN.identity)
        before = len(sent())
        found = stores.links.standings(ANN.identity)
        said = [one.split()[0] for one in sent()[before:]]
    assert sorted(one.link.id for one in found) == sorted(link.id for link in links)
    assert said in (["SELECT"], ["Bind", "Describe", "Execute", "Sync"])


def test_a_read_survives_the_end_of_its_connection(postgres_url: str) -> None:
    with sql_stores(postgres_url) as stores, open_database(postgres_url) as other:
        link = stores.links.attach(new_link(), audit_event())
        before = read(stores)
        with Database(other).writing() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        for link_id in (None, link.id):
            after = read(stores, link_id)
            assert before
            assert after
            assert after.link == before.link


def test_a_read_survives_a_changed_column(stores: SqlStores) -> None:
    stores.links.attach(new_link(), audit_event())
    before = read(stores)
    with stores.database.writing() as connection:
        if stores.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE link ALTER COLUMN client_id TYPE VARCHAR(900)")
        else:
            connection.exec_driver_sql("ALTER TABLE link ADD COLUMN later TEXT")
    after = read(stores)
    assert before
    assert after
    assert after.link == before.link


def test_what_is_handed_out_is_what_the_whole_link_holds(stores: SqlStores) -> None:
    link = stores.links.attach(new_link(), audit_event())
    for link_id in (None, link.id):
        whole, narrow = read(stores, link_id), cached(stores, link_id)
        assert whole
        assert narrow
        assert (narrow.link_id, narrow.provider_id, narrow.token) == (link.id, link.provider_id, whole.token)


def test_a_read_works_without_prepared_statements(postgres_url: str) -> None:
    engine = prepare_engine(create_engine(postgres_url, connect_args={"prepare_threshold": None}))
    metadata.create_all(engine)
    stores = stores_over(engine)
    link = stores.links.attach(new_link(), audit_event())
    found = [read(stores, link_id) for link_id in (None, link.id)]
    with stores.database.reading() as connection:
        prepared = connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one()
    engine.dispose()
    assert all(one and one.link == link for one in found)
    assert prepared == 0


def test_a_read_without_tables_is_storage_unavailable(database_url: str) -> None:
    with open_database(database_url) as engine, pytest.raises(StorageUnavailable):
        read(stores_over(engine))


def test_reads_at_the_same_time_do_not_share_a_connection(stores: SqlStores) -> None:
    link = stores.links.attach(new_link(), audit_event())

    def read_often(_number: int) -> None:
        for _ in range(50):
            found = read(stores)
            assert found is not None
            assert found.link == link

    in_parallel(12, read_often)


def test_no_secret_stands_in_the_database(stores: SqlStores) -> None:
    stores.links.attach(new_link(), audit_event())
    stores.links.unlink(ANN.identity, ProviderId("idp1"), None, audit_event())
    stores.links.attach(new_link(), audit_event())
    with stores.database.reading() as connection:
        dump = b""
        for table in ("link", "access_token", "outbox", "audit_event"):
            for row in connection.execute(text(f"SELECT * FROM {table}")):  # noqa: S608  (names from above)
                dump += b"|".join(
                    bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode() for value in row
                )
    assert b"Ann A." in dump
    assert b"access-1" not in dump
    assert b"refresh-1" not in dump


def test_a_name_with_nul_never_finds_the_link_of_the_name_before_it(stores: SqlStores) -> None:
    # PostgreSQL's library takes texts as C strings, which end at a NUL; the database itself refuses one.
    stores.links.attach(new_link(), audit_event())
    stranger = replace(ANN.identity, subject=f"{ANN.identity.subject}\0mallory")
    found: Holding | None = None
    with suppress(DBAPIError):
        found = stores.links.read(stranger, ProviderId("idp1"), None, Asked().variant)
    assert found is None


def test_a_connection_is_used_again_unless_it_was_idle_for_long(stores: SqlStores) -> None:
    opened, seconds = [], [0.0]
    event.listen(stores.engine, "connect", lambda connection, _record: opened.append(connection))
    stores.engine.dispose()
    database = stores.database
    reads = HotConnections(database.detached, database.dialect.name, monotonic=lambda: seconds[0])
    for _ in range(3):
        assert reads.rows("SELECT 1", [])
        seconds[0] += IDLE_SECONDS
    assert len(opened) == 1
    seconds[0] += 1
    assert reads.rows("SELECT 1", [])
    assert len(opened) == 2
    with pytest.raises(database.driver_error):
        opened[0].execute("SELECT 1")
    reads.close()


def test_a_connection_in_use_when_all_are_closed_is_closed_after_its_read() -> None:
    class Connection:
        closed = False

        def execute(self, _sql: str, _values: Sequence[object]) -> Self:
            reads.close()
            return self

        def fetchall(self) -> list[tuple[int]]:
            return [(1,)]

        def close(self) -> None:
            self.closed = True

    connections: list[Any] = []

    def make() -> Any:
        connections.append(Connection())
        return connections[-1]

    reads = HotConnections(make, "sqlite")
    assert [reads.rows("SELECT 1", []), reads.rows("SELECT 1", [])] == [[(1,)], [(1,)]]
    assert [connection.closed for connection in connections] == [True, True]

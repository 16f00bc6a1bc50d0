"""The hot path: one statement, by indexes, without a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from support.harness import ANN, new_link
from support.harness import event as audit_event
from support.stores import SqlStores, sql_stores
from tokenstore.core.model import Asked, ProviderId


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def test_a_read_is_one_statement(stores: SqlStores) -> None:
    link = stores.links.attach(new_link(), audit_event())
    seen: list[tuple[str, Any]] = []

    @event.listens_for(stores.engine, "before_cursor_execute")
    def see(_c: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        seen.append((statement, parameters))

    for link_id in (None, link.id):
        seen.clear()
        stores.links.read(ANN.identity, ProviderId("idp1"), link_id, Asked().variant)
        assert [statement.split()[0] for statement, _ in seen] == ["SELECT"]


def test_a_read_uses_indexes_only(sqlite_url: str) -> None:
    with sql_stores(sqlite_url) as stores:
        plans: list[str] = []

        @event.listens_for(stores.engine, "before_cursor_execute")
        def explain(_c: object, cursor: Any, statement: str, parameters: Any, *_rest: object) -> None:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in cursor.fetchall())

        stores.links.read(ANN.identity, ProviderId("idp1"), None, Asked().variant)
        assert len(plans) == 3
        assert all(plan.startswith("SEARCH") and "INDEX" in plan for plan in plans)
        assert "uq_link_default" in plans[1]


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

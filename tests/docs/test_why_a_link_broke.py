"""The guide to broken links: its query runs on both databases, and its tables name what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import insert, text

from support.documents import DOCS, blocks, text_of
from support.stores import SqlStores, sql_stores
from tokenstore.store.base import db_now
from tokenstore.store.tables import audit_event

PAGE = DOCS / "howto" / "why-a-link-broke.md"


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def test_query_tells_what_happened_to_the_person_and_the_provider(stores: SqlStores) -> None:
    [query] = blocks(text_of(PAGE), "sql")
    mine, campus = {"user_subject": "48151623"}, {"provider_id": "campus"}
    events: list[dict[str, str | None]] = [
        {"action": "link.broken", "reason": "invalid_grant", **mine, **campus},
        {"action": "provider.quarantined", "reason": "invalid_grant", "user_subject": None, **campus},
        {"action": "link.broken", "reason": "of somebody else", "user_subject": "another", **campus},
        {"action": "link.broken", "reason": "elsewhere", "provider_id": "hub", **mine},
    ]
    with stores.database.writing() as connection:
        for event in events:
            connection.execute(insert(audit_event).values(id=uuid4(), at=db_now(), outcome="failure", **event))

    with stores.database.reading() as connection:
        rows = connection.execute(text(query)).mappings().all()

    assert sorted(row["action"] for row in rows) == ["link.broken", "provider.quarantined"]
    assert {row["reason"] for row in rows} == {"invalid_grant"}
    assert all(row["epoch_seconds"] > 1_700_000_000 for row in rows)


def test_page_names_only_actions_and_metrics_that_there_are() -> None:
    page = text_of(PAGE)
    actions = re.findall(r"`((?:link|provider|token)\.[a-z]+)`", page)
    events = text_of(DOCS / "reference" / "events.md")
    metrics = text_of(DOCS / "howto" / "deploy.md")

    assert actions
    assert [action for action in actions if f"| `{action}` |" not in events] == []
    assert [name for name in re.findall(r"`(tokenstore_\w+)`", page) if f"`{name}`" not in metrics] == []

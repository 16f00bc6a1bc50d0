"""The stores under test: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.fakes import fake_stores
from support.harness import FakeHarness, Harness, SqlHarness
from support.stores import sql_stores


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Empty stores of one kind; the test runs once on each."""
    if request.param == "fake":
        yield FakeHarness.over(fake_stores())
        return
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    with sql_stores(url) as made:
        yield SqlHarness.over(made)

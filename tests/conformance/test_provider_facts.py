"""What was learned of providers is kept once, by whoever learns it."""

from __future__ import annotations

import logging

import pytest

from support.stores import sql_stores
from tokenstore.core.lessons import Fact
from tokenstore.core.model import ProviderId
from tokenstore.store.provider_facts import SqlProviderFacts
from tokenstore.store.tables import provider_seen

IDP, OTHER = ProviderId("idp1"), ProviderId("idp2")
ROTATES, DOES_NOT = Fact("rotates", "yes"), Fact("rotates", "no")


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    return str(request.getfixturevalue(request.param))


def known(facts: SqlProviderFacts) -> list[tuple[str, Fact]]:
    return [(seen.provider_id, seen.fact) for seen in facts.seen()]


def test_facts_are_kept_by_provider_in_order(url: str) -> None:
    with sql_stores(url) as stores:
        facts = SqlProviderFacts(stores.database)
        facts.learn(OTHER, {ROTATES})
        facts.learn(IDP, {DOES_NOT, Fact("expiry", "known")})
        assert known(facts) == [("idp1", Fact("expiry", "known")), ("idp1", DOES_NOT), ("idp2", ROTATES)]
        assert [seen.fact for seen in facts.seen(OTHER)] == [ROTATES]


def test_a_fact_that_another_process_learned_is_not_kept_twice(url: str) -> None:
    with sql_stores(url) as stores:
        for facts in (SqlProviderFacts(stores.database), SqlProviderFacts(stores.database)):
            facts.learn(IDP, {ROTATES})
            facts.learn(IDP, {ROTATES})
        assert known(facts) == [("idp1", ROTATES)]


def test_both_values_of_a_fact_may_have_been_seen(url: str) -> None:
    with sql_stores(url) as stores:
        facts = SqlProviderFacts(stores.database)
        facts.learn(IDP, {ROTATES})
        facts.learn(IDP, {DOES_NOT})
        assert {fact for _, fact in known(facts)} == {ROTATES, DOES_NOT}


def test_what_is_known_costs_no_statement(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with sql_stores(url) as stores, caplog.at_level(logging.WARNING):
        facts = SqlProviderFacts(stores.database)
        facts.learn(IDP, {ROTATES})
        # From here on every statement fails, which is told.
        provider_seen.drop(stores.engine)
        facts.learn(IDP, {ROTATES})
        assert caplog.messages == []


def test_a_lesson_that_cannot_be_kept_is_told_and_nothing_is_raised(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with sql_stores(url) as stores, caplog.at_level(logging.WARNING):
        provider_seen.drop(stores.engine)
        SqlProviderFacts(stores.database).learn(IDP, {ROTATES})
        assert "what was learned of a provider is not kept" in caplog.messages

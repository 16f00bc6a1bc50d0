"""What is counted of calls to providers."""

from __future__ import annotations

import pytest

from support.core_world import provider
from support.fake_provider import FakeProviderClient
from support.tallies import Tallies
from tokenstore.core.model import Asked, Misconfigured, Outcome, Refused, ScopeRefused, Unavailable, Unclear
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderUnavailable
from tokenstore.providers.counted import CountedClient


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Refused("invalid_grant"), "refused"),
        (Misconfigured("invalid_client"), "misconfigured"),
        (ScopeRefused("invalid_scope"), "scope-refused"),
        (Unavailable("status-503"), "unavailable"),
        (Unclear("timeout"), "unclear"),
    ],
)
def test_outcome_of_a_refresh_is_counted_by_its_kind_and_passed_on(outcome: Outcome, word: str) -> None:
    client, tallies = FakeProviderClient(), Tallies()
    client.refreshes.append(outcome)

    answer = CountedClient(client, tallies).refresh(provider(), Secret("refresh-1"), Asked(), frozenset())

    assert (answer, tallies.calls) == (outcome, [("idp1", "refresh", word)])


def test_error_is_counted_by_its_name_and_passed_on() -> None:
    client, tallies = FakeProviderClient(), Tallies()
    client.refreshes.append(ProviderUnavailable("away"))

    with pytest.raises(ProviderUnavailable):
        CountedClient(client, tallies).refresh(provider(), Secret("refresh-1"), Asked(), frozenset())
    assert tallies.calls == [("idp1", "refresh", "provider-unavailable")]

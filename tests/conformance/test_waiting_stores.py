"""What every WaitingStore promises about tokens that wait for a person's word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from support.harness import ANN, BOB, Harness, account, in_parallel, tokens, unknown_link
from tokenstore.core.model import ProviderId
from tokenstore.core.ports import Waiting
from tokenstore.errors import PolicyDenied

MINUTE = timedelta(minutes=1)
HERE = "browser-1"
IDP1 = ProviderId("idp1")


@pytest.fixture
def stores(stores: Harness) -> Harness:
    """Stores that know Ann and Bob."""
    stores.users.remember(ANN)
    stores.users.remember(BOB)
    return stores


def a_waiting() -> Waiting:
    """Tokens of Ann's that wait."""
    received = tokens(refresh_expires_in=60 * MINUTE, scopes=frozenset({"openid"}), extra={"team": {"id": 7}})
    return Waiting(
        id=uuid4(),
        user=ANN.identity,
        provider_id=IDP1,
        client_id="client-1",
        account=account("other"),
        tokens=replace(received, others={"storage": tokens("access-2", None)}),
        scopes_requested=frozenset({"openid", "email"}),
        elapsed=timedelta(seconds=1),
        return_url="/after?x=1",
        reports=True,
        link_id=unknown_link(),
    )


def same(found: Waiting | None, saved: Waiting) -> bool:
    """Whether it is the one that was saved, a little older."""
    return found is not None and replace(found, elapsed=saved.elapsed) == saved


def test_what_waits_is_found_and_then_taken_as_it_was(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    assert same(stores.waiting.find(saved.id, ANN.identity, HERE), saved)
    assert same(stores.waiting.take(saved.id, ANN.identity, HERE), saved)
    assert stores.waiting.find(saved.id, ANN.identity, HERE) is None


def test_time_spent_waiting_counts(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    stores.advance(5 * MINUTE)
    found = stores.waiting.find(saved.id, ANN.identity, HERE)
    assert found is not None
    assert timedelta() <= found.elapsed - saved.elapsed - 5 * MINUTE < timedelta(seconds=10)


def test_others_and_other_sessions_find_nothing(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    assert stores.waiting.take(saved.id, BOB.identity, HERE) is None
    assert stores.waiting.take(saved.id, ANN.identity, "browser-2") is None
    assert stores.waiting.take(uuid4(), ANN.identity, HERE) is None
    assert stores.waiting.take_stale() == []


def test_after_its_time_it_is_only_to_be_given_back(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    stores.advance(11 * MINUTE)
    assert stores.waiting.find(saved.id, ANN.identity, HERE) is None
    assert stores.waiting.take(saved.id, ANN.identity, HERE) is None
    [stale] = stores.waiting.take_stale()
    assert same(stale, saved)
    assert stores.waiting.take_stale() == []


def test_what_a_user_has_waiting_at_a_provider_is_taken_before_its_time(stores: Harness) -> None:
    saved, elsewhere = a_waiting(), replace(a_waiting(), provider_id=ProviderId("idp2"))
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    stores.waiting.save(elsewhere, HERE, 10 * MINUTE)
    assert list(stores.waiting.take_stale(BOB.identity, IDP1)) == []
    [stale] = stores.waiting.take_stale(ANN.identity, IDP1)
    assert same(stale, saved)
    assert stores.waiting.find(elsewhere.id, ANN.identity, HERE) is not None


def test_of_many_who_take_one_gets_it(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE)
    taken = in_parallel(8, lambda _number: stores.waiting.take(saved.id, ANN.identity, HERE))
    assert len([one for one in taken if one is not None]) == 1


def test_nothing_waits_for_a_disabled_user(stores: Harness) -> None:
    stores.disable(ANN.identity)
    with pytest.raises(PolicyDenied):
        stores.waiting.save(a_waiting(), HERE, MINUTE)

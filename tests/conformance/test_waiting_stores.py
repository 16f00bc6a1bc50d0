"""What every WaitingStore promises about tokens that wait for a person's word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import text, update

from support.harness import (
    ANN,
    BOB,
    Harness,
    SqlHarness,
    account,
    event,
    in_parallel,
    new_link,
    provider,
    tokens,
    unknown_link,
)
from support.stores import sql_stores
from tokenstore.core.model import AuditEvent, Profile, ProviderId
from tokenstore.core.ports import Debt, NewLink, NotWaiting, OnlyOneAccount, Waiting
from tokenstore.errors import KeyUnavailable, PolicyDenied, StorageUnavailable
from tokenstore.store.tables import link_waiting

MINUTE = timedelta(minutes=1)
HERE = "browser-1"
IDP1 = ProviderId("idp1")
ALL, NONE = frozenset({IDP1, ProviderId("idp2")}), frozenset[ProviderId]()
ASKED = AuditEvent("link.waiting", "success", provider_id=IDP1)
NO = AuditEvent("link.refused", "failure", reason="unanswered")


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
        sent=monotonic() - 1,
        return_url="/after?x=1",
        reports=True,
        link_id=unknown_link(),
    )


def same(found: Waiting | None, saved: Waiting) -> bool:
    """Whether it is the one that was saved, a little older."""
    return found is not None and replace(found, sent=saved.sent) == saved


def token_of(stores: Harness, owed: Debt) -> str | None:
    """What is owed."""
    claimed = stores.outbox.claim(owed.id, MINUTE)
    return claimed.token.reveal() if claimed else None


def answered(waiting: Waiting, user: Profile = ANN, *, multi_account: bool = True) -> NewLink:
    """What a person's yes stores of it."""
    at = replace(provider(), multi_account=multi_account)
    return replace(new_link(user, at, waiting.account, waiting.tokens), waiting_id=waiting.id)


def waits(stores: Harness, waiting: Waiting) -> bool:
    """Whether it waits on."""
    return stores.waiting.find(waiting.id, ANN.identity, HERE) is not None


def test_what_waits_is_found_as_it_was_and_its_question_is_an_event(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    assert same(stores.waiting.find(saved.id, ANN.identity, HERE), saved)
    assert stores.events() == [("link.waiting", "idp1", None)]


@pytest.mark.parametrize("swapped", [False, True])
def test_what_becomes_a_link_waits_no_more(stores: Harness, swapped: bool) -> None:
    first = stores.links.attach(new_link(), event())
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    if swapped:
        stores.links.swap(answered(saved), [first.id], event())
    else:
        stores.links.attach(answered(saved), event())
    assert not waits(stores, saved)
    assert len(stores.links.standings(ANN.identity)) == (1 if swapped else 2)


def test_what_is_over_or_of_somebody_else_becomes_no_link(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    with pytest.raises(NotWaiting):
        stores.links.attach(answered(saved, BOB), event())
    stores.advance(11 * MINUTE)
    with pytest.raises(NotWaiting):
        stores.links.attach(answered(saved), event())
    assert waits(stores, saved)
    assert [*stores.links.standings(ANN.identity), *stores.links.standings(BOB.identity)] == []


def test_a_link_that_may_not_be_made_leaves_it_waiting(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    with pytest.raises(OnlyOneAccount):
        stores.links.attach(answered(saved, multi_account=False), event())
    assert waits(stores, saved)


def test_time_spent_waiting_counts(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    stores.advance(5 * MINUTE)
    found = stores.waiting.find(saved.id, ANN.identity, HERE)
    assert found is not None
    assert abs(found.elapsed - saved.elapsed - 5 * MINUTE) < timedelta(seconds=10)


def test_others_and_other_sessions_find_nothing(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    assert stores.waiting.find(saved.id, BOB.identity, HERE) is None
    assert stores.waiting.find(saved.id, ANN.identity, "browser-2") is None
    assert stores.waiting.find(uuid4(), ANN.identity, HERE) is None
    assert list(stores.waiting.give_up_stale(ALL, NO)) == []


def test_after_its_time_it_can_only_be_given_up(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    stores.advance(11 * MINUTE)
    assert same(stores.waiting.find(saved.id, ANN.identity, HERE), replace(saved, over=True))
    [owed] = stores.waiting.give_up_stale(ALL, NO)
    assert token_of(stores, owed) == "refresh-1"
    assert stores.waiting.find(saved.id, ANN.identity, HERE) is None
    assert list(stores.waiting.give_up_stale(ALL, NO)) == []
    assert stores.events()[1:] == [("link.refused", "idp1", None)]


def test_what_else_a_user_has_waiting_at_a_provider_is_given_up_before_its_time(stores: Harness) -> None:
    saved, elsewhere, last = a_waiting(), replace(a_waiting(), provider_id=ProviderId("idp2")), a_waiting()
    for one in (saved, elsewhere, last):
        stores.waiting.save(one, HERE, 10 * MINUTE, ASKED)
    assert list(stores.waiting.give_up_before(replace(last, user=BOB.identity), ALL, NO)) == []
    assert [one.provider_id for one in stores.waiting.give_up_before(last, ALL, NO)] == [IDP1]
    assert stores.waiting.find(saved.id, ANN.identity, HERE) is None
    assert stores.waiting.find(elsewhere.id, ANN.identity, HERE) is not None
    assert stores.waiting.find(last.id, ANN.identity, HERE) is not None


def test_ones_own_is_given_up_whatever_others_left(stores: Harness) -> None:
    for _ in range(3):
        stores.waiting.save(replace(a_waiting(), user=BOB.identity), HERE, MINUTE, ASKED)
    stores.advance(2 * MINUTE)
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    assert len(stores.waiting.give_up_before(a_waiting(), ALL, NO)) == 1
    assert not waits(stores, saved)
    assert len(stores.owed()) == 1


def test_what_is_given_up_is_owed_once(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    given = in_parallel(8, lambda _number: stores.waiting.give_up(saved.id, ALL, NO))
    [[owed]] = [rows for rows in given if rows is not None]
    assert list(stores.owed()) == [owed.id]
    assert stores.events()[1:] == [("link.refused", "idp1", None)]


@pytest.mark.parametrize(("apart", "owed"), [(ALL, 1), (NONE, 0)])
def test_nothing_is_owed_whose_grant_a_link_may_rest_on(
    stores: Harness, apart: frozenset[ProviderId], owed: int
) -> None:
    stores.links.attach(new_link(who=account("other"), received=tokens("access-0", "refresh-0")), event())
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    rows = stores.waiting.give_up(saved.id, apart, NO)
    assert rows is not None
    assert len(rows) == owed


@pytest.mark.parametrize("apart", [ALL, NONE])
def test_nothing_is_owed_that_a_link_was_made_of_meanwhile(stores: Harness, apart: frozenset[ProviderId]) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    stores.links.attach(new_link(who=saved.account, received=saved.tokens), event())
    assert stores.waiting.give_up(saved.id, apart, NO) == []


def test_a_token_of_a_grant_of_its_own_is_owed_everywhere(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    rows = stores.waiting.give_up(saved.id, NONE, NO)
    assert rows is not None
    assert len(rows) == 1


def test_of_many_answers_one_counts(stores: Harness) -> None:
    saved = a_waiting()
    stores.waiting.save(saved, HERE, 10 * MINUTE, ASKED)

    def counts(_number: int) -> bool:
        try:
            stores.links.attach(answered(saved), event())
        except NotWaiting:
            return False
        return True

    assert in_parallel(8, counts).count(True) == 1


def test_nothing_waits_for_a_disabled_user(stores: Harness) -> None:
    stores.disable(ANN.identity)
    with pytest.raises(PolicyDenied):
        stores.waiting.save(a_waiting(), HERE, MINUTE, ASKED)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[SqlHarness]:
    """Stores in a database, which undoes what it does not finish; they know Ann."""
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    with sql_stores(url) as made:
        made.users.remember(ANN)
        yield SqlHarness.over(made)


def test_what_cannot_be_queued_goes_on_waiting(database: SqlHarness) -> None:
    saved = a_waiting()
    database.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    with database.stores.database.writing() as connection:
        connection.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))
    with pytest.raises(StorageUnavailable):
        database.waiting.give_up(saved.id, ALL, NO)

    assert same(database.waiting.find(saved.id, ANN.identity, HERE), saved)
    assert [action for action, _, _ in database.events()] == ["link.waiting"]


def test_a_question_without_its_event_does_not_wait(database: SqlHarness) -> None:
    with database.stores.database.writing() as connection:
        connection.execute(text("ALTER TABLE audit_event RENAME TO elsewhere"))
    saved = a_waiting()
    with pytest.raises(StorageUnavailable):
        database.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    assert not waits(database, saved)


def test_what_cannot_be_opened_is_given_up_and_said(database: SqlHarness, caplog: pytest.LogCaptureFixture) -> None:
    saved = a_waiting()
    database.waiting.save(saved, HERE, 10 * MINUTE, ASKED)
    with database.stores.database.writing() as connection:
        connection.execute(update(link_waiting).values(sealed=b"TS nonsense"))
    with pytest.raises(KeyUnavailable):
        database.waiting.find(saved.id, ANN.identity, HERE)

    assert database.waiting.give_up(saved.id, ALL, NO) == []
    assert database.waiting.give_up(saved.id, ALL, NO) is None
    assert list(database.owed()) == []
    assert "cannot be opened" in caplog.text

"""What every Outbox promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from time import monotonic
from uuid import UUID, uuid4

import pytest

from support.harness import ANN, BOB, Harness, account, event, in_parallel, new_link, provider, tokens
from tokenstore.core.model import Account, Profile, Provider, ProviderId, TokenSet
from tokenstore.core.ports import Waiting
from tokenstore.core.secret import Secret

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def queued(stores: Harness, at: Provider | None = None, who: Account | None = None) -> UUID:
    """The row of a token of Ann's that was queued."""
    row = stores.outbox.queue_revocation(at or provider(), ANN.identity, Secret("token"), who)
    assert row is not None
    return row


def test_a_queued_token_can_be_claimed(stores: Harness) -> None:
    row = queued(stores)
    claimed = stores.outbox.claim(row, MINUTE)
    assert claimed is not None
    assert (claimed.id, claimed.provider_id, claimed.client_id) == (row, "idp1", "client-1")
    assert (claimed.token, claimed.attempts) == (Secret("token"), 0)


def test_a_token_of_a_known_user_can_be_claimed(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_claimed_row_is_not_claimed_again(stores: Harness) -> None:
    row = queued(stores)
    assert sum(one is not None for one in in_parallel(10, lambda _: stores.outbox.claim(row, MINUTE))) == 1


def test_a_claim_ends_by_itself(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_successor_takes_the_place_of_a_spent_token_and_prolongs_the_claim(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.outbox.exchange(row, Secret("successor"), 5 * MINUTE)
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is None
    stores.advance(4 * MINUTE)
    again = stores.outbox.claim(row, MINUTE)
    assert again is not None
    assert (again.token, again.attempts) == (Secret("successor"), 0)


def test_nothing_takes_the_place_of_a_row_that_is_gone(stores: Harness) -> None:
    stores.outbox.exchange(uuid4(), Secret("successor"), MINUTE)
    assert stores.owed() == []


def test_a_finished_row_is_gone(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.outbox.done(row)
    assert stores.owed() == []


def test_a_postponed_row_rests_and_counts(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.outbox.postpone(row, 5 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is None
    stores.advance(6 * MINUTE)
    again = stores.outbox.claim(row, MINUTE)
    assert again is not None
    assert again.attempts == 1


def test_what_is_unknown_is_not_claimed(stores: Harness) -> None:
    assert stores.outbox.claim(uuid4(), MINUTE) is None


def is_let_go(stores: Harness, at: Provider | None = None, who: Account | None = None) -> bool:
    return stores.outbox.queue_revocation(at or provider(), ANN.identity, Secret("token"), who) is None


def test_a_token_that_may_share_a_links_grant_is_not_queued(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    assert is_let_go(stores)
    assert is_let_go(stores, who=account())
    assert stores.owed() == []


def test_a_token_of_an_account_that_another_user_has_linked_is_not_queued(stores: Harness) -> None:
    stores.links.attach(new_link(BOB), event())
    assert is_let_go(stores, who=account())


def test_a_token_of_an_account_that_nobody_has_linked_is_queued(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    queued(stores, who=account("second"))


@pytest.mark.parametrize(
    "at",
    [provider(revokes_grant=False), provider(client_id="client-2"), provider("idp2")],
    ids=["token", "client", "idp"],
)
def test_a_token_that_shares_no_grant_is_queued(stores: Harness, at: Provider) -> None:
    stores.links.attach(new_link(), event())
    queued(stores, at)


@pytest.mark.parametrize("held", [tokens(refresh="token"), tokens("token", None), tokens("token")])
def test_the_very_token_that_a_link_of_the_user_holds_is_not_queued(stores: Harness, held: TokenSet) -> None:
    at = provider(revokes_grant=False)
    link = stores.links.attach(new_link(at=at, received=held), event())
    assert is_let_go(stores, at, account())
    assert is_let_go(stores, at)
    stores.links.unlink(ANN.identity, None, link.id, event())
    queued(stores, at)


@pytest.mark.parametrize(
    "held_by",
    [(BOB, provider(revokes_grant=False)), (ANN, provider("idp2")), (ANN, provider(client_id="client-2"))],
    ids=["user", "idp", "client"],
)
def test_a_token_that_equals_one_of_another_user_provider_or_client_is_queued(
    stores: Harness, held_by: tuple[Profile, Provider]
) -> None:
    stores.users.remember(ANN)
    stores.links.attach(new_link(*held_by, received=tokens(refresh="token")), event())
    queued(stores, provider(revokes_grant=False))


def test_a_held_token_that_cannot_be_opened_hinders_nothing(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.spoil(stores.links.attach(new_link(at=at, received=tokens(refresh="token")), event()).id)
    queued(stores, at)


def test_an_unlinked_link_has_no_grant_to_protect(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, None, link.id, event())
    queued(stores, who=account())


def unlinked(stores: Harness, at: Provider | None = None) -> UUID:
    """The row of Ann's link that is no more."""
    stores.links.attach(new_link(at=at), event())
    (gone,) = stores.links.unlink(ANN.identity, (at or provider()).id, None, event())
    assert gone.debt is not None
    return gone.debt.id


def test_a_token_of_an_account_that_nobody_else_has_linked_shares_no_grant(stores: Harness) -> None:
    row = unlinked(stores)
    stores.links.attach(new_link(BOB, who=account("second")), event())
    stores.links.attach(new_link(BOB, at=provider("idp2"), who=account()), event())
    assert not stores.outbox.is_shared(row)
    assert not stores.outbox.is_shared(uuid4())


def test_a_token_of_an_account_that_another_user_has_linked_shares_the_grant_until_that_is_unlinked(
    stores: Harness,
) -> None:
    stores.links.attach(new_link(BOB), event())
    row = unlinked(stores)
    assert stores.outbox.is_shared(row)
    stores.links.unlink(BOB.identity, provider().id, None, event())
    assert not stores.outbox.is_shared(row)


def test_a_token_of_another_client_shares_no_grant(stores: Harness) -> None:
    stores.links.attach(new_link(BOB, at=provider(client_id="client-2")), event())
    assert not stores.outbox.is_shared(unlinked(stores))


def a_question(user: Profile = ANN, at: str = "idp1") -> Waiting:
    """What waits for somebody's word."""
    return Waiting(
        uuid4(),
        user.identity,
        ProviderId(at),
        "client-1",
        account(),
        tokens(),
        frozenset(),
        monotonic(),
        "/",
        False,
        None,
    )


def test_what_a_failed_linking_left_may_share_the_grant_of_what_waits_for_the_user(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    stores.waiting.save(a_question(), "browser-1", 10 * MINUTE, event())
    assert stores.outbox.is_shared(row)
    stores.advance(11 * MINUTE)
    assert not stores.outbox.is_shared(row)


def test_what_waits_for_others_or_elsewhere_shares_no_grant(stores: Harness) -> None:
    for user in (ANN, BOB):
        stores.users.remember(user)
    row = queued(stores)
    stores.waiting.save(a_question(BOB), "browser-2", 10 * MINUTE, event())
    stores.waiting.save(a_question(at="idp2"), "browser-1", 10 * MINUTE, event())
    assert not stores.outbox.is_shared(row)


def test_due_rows_are_claimed_oldest_first_and_no_more_than_wanted(stores: Harness) -> None:
    rows = []
    for _ in range(3):
        rows.append(queued(stores))
        stores.advance(MINUTE)

    first, second = stores.outbox.claim_due(2, MINUTE), stores.outbox.claim_due(2, MINUTE)

    assert {one.id for one in first} == set(rows[:2])
    assert [(one.id, one.token, one.attempts) for one in second] == [(rows[2], Secret("token"), 0)]


def test_rows_that_rest_are_not_due(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.postpone(row, 5 * MINUTE)
    assert stores.outbox.claim_due(10, MINUTE) == []


def test_rows_of_providers_that_are_kept_apart_are_passed_over(stores: Harness) -> None:
    queued(stores)
    other = queued(stores, provider("idp2"))
    assert [one.id for one in stores.outbox.claim_due(10, MINUTE, [provider().id])] == [other]


def test_two_who_claim_due_rows_at_once_never_get_the_same(stores: Harness) -> None:
    rows = {queued(stores) for _ in range(12)}

    claimed = [one.id for batch in in_parallel(6, lambda _: stores.outbox.claim_due(3, MINUTE)) for one in batch]

    assert len(claimed) == len(set(claimed))
    while more := stores.outbox.claim_due(3, MINUTE):
        claimed += [one.id for one in more]
    assert set(claimed) == rows


def test_a_row_that_was_tried_for_a_week_is_given_up_with_an_event(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, None, link.id, event())
    later = queued(stores)
    given_up = event("revocation.given-up")
    assert stores.outbox.give_up(10, given_up) == 0
    stores.advance(6 * DAY)
    kept = queued(stores)

    stores.advance(2 * DAY)

    assert stores.outbox.give_up(10, given_up) == 2
    assert list(stores.owed()) == [kept]
    told = [(provider_id, of) for action, provider_id, of in stores.events() if action == "revocation.given-up"]
    assert (len(told), set(told)) == (2, {("idp1", None), ("idp1", link.id)})
    assert later not in stores.owed()


def test_no_more_rows_are_given_up_than_wanted(stores: Harness) -> None:
    for _ in range(3):
        queued(stores)
    stores.advance(8 * DAY)
    assert [stores.outbox.give_up(2, event()) for _ in range(3)] == [2, 1, 0]


def test_the_depth_is_what_is_owed_and_for_how_long_the_oldest_has_been(stores: Harness) -> None:
    assert stores.outbox.depth().entries == 0
    assert stores.outbox.depth().oldest == timedelta()
    queued(stores)
    stores.advance(5 * MINUTE)
    queued(stores)

    depth = stores.outbox.depth()

    assert depth.entries == 2
    assert abs(depth.oldest - 5 * MINUTE) < timedelta(seconds=20)


def test_what_is_held_is_not_revoked_by_anybody_for_so_long(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    assert stores.outbox.hold(provider(), ANN.identity, 5 * MINUTE) is None
    assert stores.outbox.claim(row, MINUTE) is None
    assert stores.outbox.claim_due(10, MINUTE) == []
    stores.advance(6 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_what_is_claimed_is_not_held_and_says_how_long(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    left = stores.outbox.hold(provider(), ANN.identity, DAY)
    assert left is not None
    assert timedelta() < left <= MINUTE
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_claim_and_a_hold_do_not_both_succeed(stores: Harness) -> None:
    stores.users.remember(ANN)
    for _ in range(5):
        row = queued(stores)

        def take(number: int, row: UUID = row) -> bool:
            if number:
                return stores.outbox.claim(row, MINUTE) is not None
            return stores.outbox.hold(provider(), ANN.identity, DAY) is None

        assert sum(in_parallel(2, take)) == 1
        stores.outbox.done(row)


@pytest.mark.parametrize("at", [replace(provider(), id=ProviderId("idp2")), provider(client_id="client-2")])
def test_what_is_owed_elsewhere_is_not_held(stores: Harness, at: Provider) -> None:
    stores.users.remember(ANN)
    stores.users.remember(BOB)
    row = queued(stores)
    assert stores.outbox.hold(at, ANN.identity, DAY) is None
    assert stores.outbox.hold(provider(), BOB.identity, DAY) is None
    assert stores.outbox.claim(row, MINUTE) is not None


def test_what_a_stranger_left_is_not_held(stores: Harness) -> None:
    row = queued(stores)
    assert stores.outbox.hold(provider(), ANN.identity, DAY) is None
    assert stores.outbox.claim(row, MINUTE) is not None


def test_what_rests_longer_is_not_held_shorter(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    stores.outbox.postpone(row, DAY)
    stores.outbox.hold(provider(), ANN.identity, MINUTE)
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is None

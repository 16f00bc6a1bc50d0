"""What every LinkStore and QuarantineStore promise about a provider's no: believed twice, not when all are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.harness import ANN, ZERO, Harness, event, in_parallel, new_link, provider, tokens
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    Account,
    Asked,
    Doubt,
    Lease,
    Link,
    LinkState,
    Profile,
    ProviderId,
    Respect,
)
from tokenstore.core.ports import Base, Failure
from tokenstore.core.refusals import MassRefusal, Refusal, Verdict
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable

IDP1 = ProviderId("idp1")
LENGTH = timedelta(seconds=20)
SECOND = timedelta(seconds=1)
PAUSE = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
NO = Refusal("invalid_grant", PAUSE)
ANOTHERS = Refusal(ACCOUNT_CHANGED, PAUSE, final=True)
RULE = MassRefusal()
FOUR = MassRefusal(refreshes=4)


@pytest.fixture
def link(stores: Harness) -> Link:
    return stores.links.attach(new_link(), event("link.created"))


def linked(stores: Harness, number: int, user: Profile | None = None) -> Link:
    """One more link, of a user of its own unless `user` says whose."""
    user = user or Profile(replace(ANN.identity, subject=f"person-{number}"))
    account = Account("https://idp.example", f"account-{number}")
    return stores.links.attach(new_link(user, who=account), event("link.created"))


def held(stores: Harness, link: Link) -> Base:
    base = stores.links.base(link.id)
    assert base is not None
    return base


def taken(stores: Harness, link: Link, owner: str = "node-1/a") -> Lease:
    lease = stores.links.take_lease(held(stores, link).link, owner, LENGTH)
    assert lease is not None
    return lease


def refuse(stores: Harness, link: Link, refusal: Refusal = NO, rule: MassRefusal = RULE) -> Verdict:
    verdict = stores.links.refuse(taken(stores, link), refusal, rule, event("link.refused"))
    assert verdict is not None
    return verdict


def grant(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    assert stores.links.save_refreshed(
        lease, provider(), tokens("access-2", "r"), Asked(), ZERO, event("token.refresh")
    )


def actions(stores: Harness) -> list[str]:
    return [action for action, _, _ in stores.events()]


def quarantine(stores: Harness, links: list[Link]) -> Verdict:
    """Four links are refused, so that their provider goes into quarantine."""
    return [refuse(stores, link, rule=FOUR) for link in links][-1]


def test_the_first_refusal_makes_a_link_suspect_and_gives_the_lease_back(stores: Harness, link: Link) -> None:
    verdict = refuse(stores, link)
    now = held(stores, link)
    assert (verdict, now.link.state, now.link.version) == (Verdict(LinkState.SUSPECT, PAUSE, False), "suspect", 1)
    assert (now.link.lease_until, now.link.last_error, now.link.fail_count) == (None, "invalid_grant", 0)
    assert actions(stores)[-1] == "link.suspect"


def test_a_suspect_link_rests_until_it_is_tried_again(stores: Harness, link: Link) -> None:
    refuse(stores, link)
    suspect = held(stores, link).link
    assert stores.links.take_lease(suspect, "node-1/a", LENGTH) is None
    stores.advance(PAUSE + SECOND)
    assert taken(stores, link).link.state is LinkState.SUSPECT


def test_the_second_refusal_breaks_the_link(stores: Harness, link: Link) -> None:
    refuse(stores, link)
    stores.advance(PAUSE + SECOND)
    assert refuse(stores, link).state is LinkState.BROKEN
    assert actions(stores)[-2:] == ["link.suspect", "link.broken"]


def test_a_final_refusal_breaks_the_link_at_once(stores: Harness, link: Link) -> None:
    assert refuse(stores, link, replace(NO, final=True)).state is LinkState.BROKEN


def test_a_refusal_erases_the_previous_token(stores: Harness, link: Link) -> None:
    stores.links.settle_superseded(link, provider(), tokens("late", "refresh-late"))
    lease = taken(stores, link)
    assert lease.previous_token == Secret("refresh-late")
    stores.links.refuse(lease, NO, RULE, event())
    stores.advance(PAUSE + SECOND)
    assert taken(stores, link).previous_token is None


def test_a_refusal_that_comes_late_changes_nothing(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.advance(LENGTH + SECOND)
    grant(stores, link)
    assert stores.links.refuse(lease, NO, RULE, event()) is None
    assert (held(stores, link).link.state, actions(stores)[-1]) == (LinkState.ACTIVE, "token.refresh")


def test_a_grant_heals_a_suspect_link(stores: Harness, link: Link) -> None:
    refuse(stores, link)
    stores.advance(PAUSE + SECOND)
    grant(stores, link)
    healed = held(stores, link).link
    assert (healed.state, healed.last_error, healed.next_try_at) == (LinkState.ACTIVE, None, None)


def test_a_lease_that_nobody_gave_back_leaves_the_link_in_doubt(stores: Harness, link: Link) -> None:
    taken(stores, link)
    stores.advance(LENGTH + SECOND)
    assert taken(stores, link, "node-1/b").link.doubt is Doubt.INTERRUPTED


def test_a_lease_that_was_given_back_leaves_no_doubt(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), None)
    assert taken(stores, link, "node-1/b").link.doubt is None


def test_an_unanswered_request_leaves_the_link_in_doubt_until_it_is_granted(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), Failure("reset", ZERO, doubt=Doubt.UNANSWERED))
    lease = taken(stores, link)
    assert lease.link.doubt is Doubt.UNANSWERED
    stores.links.release_lease(lease, Failure("dns", ZERO))
    grant(stores, link)
    assert held(stores, link).link.doubt is None


def test_a_rotated_token_that_was_kept_ends_the_doubt(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), Failure("reset", ZERO, doubt=Doubt.UNANSWERED))
    failure = Failure("odd", ZERO)
    assert stores.links.save_rotation(taken(stores, link), provider(), Secret("refresh-2"), ZERO, failure)
    assert held(stores, link).link.doubt is None


def test_a_link_that_breaks_in_doubt_is_lost(stores: Harness, link: Link) -> None:
    taken(stores, link)
    stores.advance(LENGTH + SECOND)
    refuse(stores, link, replace(NO, final=True))
    assert actions(stores)[-2:] == ["link.broken", "link.lost"]


def test_another_nodes_lease_is_respected_for_longer_if_that_is_wanted(stores: Harness, link: Link) -> None:
    taken(stores, link, "node-1/a")
    stores.advance(LENGTH + SECOND)
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE)) is None
    assert stores.links.take_lease(link, "node/a", LENGTH, Respect(MINUTE)) is None
    stores.advance(MINUTE)
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE)) is not None


def test_another_nodes_lease_may_be_respected_only_from_some_time_after_its_end_on(stores: Harness, link: Link) -> None:
    taken(stores, link, "node-1/a")
    stores.advance(LENGTH + SECOND)
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE, but_first=SECOND)) is None
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE, but_first=10 * SECOND)) is not None


def test_a_lease_that_was_prolonged_after_an_unanswered_call_leaves_the_link_in_doubt(
    stores: Harness, link: Link
) -> None:
    assert stores.links.renew_lease(taken(stores, link), LENGTH, Doubt.UNANSWERED)
    assert held(stores, link).link.doubt is Doubt.UNANSWERED


def test_another_nodes_lease_on_a_link_in_doubt_is_respected_sooner(stores: Harness, link: Link) -> None:
    assert stores.links.renew_lease(taken(stores, link, "node-1/a"), LENGTH, Doubt.UNANSWERED)
    stores.advance(LENGTH + SECOND)
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE, 10 * SECOND)) is None
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE, 10 * SECOND, SECOND)) is None
    assert stores.links.take_lease(link, "node-2/a", LENGTH, Respect(MINUTE, 20 * SECOND, 10 * SECOND)) is not None


def test_a_nodes_own_lease_on_a_link_in_doubt_is_taken_over_when_it_ends(stores: Harness, link: Link) -> None:
    assert stores.links.renew_lease(taken(stores, link, "node-1/a"), LENGTH, Doubt.UNANSWERED)
    stores.advance(LENGTH + SECOND)
    assert stores.links.take_lease(link, "node-1/b", LENGTH, Respect(MINUTE, 10 * SECOND)) is not None


def test_a_nodes_own_lease_is_taken_over_when_it_ends(stores: Harness, link: Link) -> None:
    taken(stores, link, "node_1/a")
    stores.advance(LENGTH + SECOND)
    assert stores.links.take_lease(link, "node_1/b", LENGTH, Respect(MINUTE)) is not None


def test_a_link_is_found_by_its_id_alone_be_it_gone(stores: Harness, link: Link) -> None:
    base = stores.links.base(link.id)
    assert base is not None
    assert (base.link, base.owner, base.refresh_token) == (link, ANN.identity, Secret("refresh-1"))
    stores.links.unlink(ANN.identity, None, link.id, event())
    gone = stores.links.base(link.id)
    assert gone is not None
    assert (gone.link.state, gone.refresh_token) == (LinkState.REVOKED, None)


def test_a_link_that_cannot_be_opened_is_no_base(stores: Harness, link: Link) -> None:
    stores.spoil(link.id)
    with pytest.raises(KeyUnavailable):
        stores.links.base(link.id)


def test_too_many_refusals_put_the_provider_into_quarantine_and_break_nothing(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(4)]
    verdict = quarantine(stores, links)
    assert verdict.quarantined
    assert {held(stores, link).link.state for link in links} == {LinkState.SUSPECT}
    assert list(stores.quarantines.quarantined()) == [IDP1]
    assert actions(stores).count("provider.quarantined") == 1


def test_a_few_refusals_among_many_grants_are_believed(stores: Harness, link: Link) -> None:
    for _ in range(16):
        grant(stores, link)
    verdicts = [refuse(stores, linked(stores, number), ANOTHERS) for number in range(4)]
    assert {(verdict.state, verdict.quarantined) for verdict in verdicts} == {(LinkState.BROKEN, False)}


def test_one_refusal_more_than_a_fifth_is_too_many(stores: Harness, link: Link) -> None:
    for _ in range(16):
        grant(stores, link)
    verdicts = [refuse(stores, linked(stores, number)) for number in range(5)]
    assert [verdict.quarantined for verdict in verdicts] == [False] * 4 + [True]


def test_many_refusals_in_a_row_are_too_many_whatever_was_granted_before(stores: Harness, link: Link) -> None:
    for _ in range(24):
        grant(stores, link)
    stores.advance(SECOND)
    verdicts = [refuse(stores, linked(stores, number), rule=FOUR) for number in range(4)]
    assert [verdict.quarantined for verdict in verdicts] == [False] * 3 + [True]


def test_a_grant_between_them_ends_the_row_of_refusals(stores: Harness, link: Link) -> None:
    for _ in range(24):
        grant(stores, link)
    verdicts = []
    for number in range(6):
        if number == 3:
            grant(stores, link)
        stores.advance(SECOND)
        verdicts.append(refuse(stores, linked(stores, number), rule=FOUR))
    assert {verdict.quarantined for verdict in verdicts} == {False}


def test_a_link_that_is_refused_twice_counts_once(stores: Harness, link: Link) -> None:
    for _ in range(18):
        grant(stores, link)
    dead = [linked(stores, number) for number in range(3)]
    first = [refuse(stores, one) for one in dead]
    stores.advance(PAUSE + SECOND)
    again = [refuse(stores, one) for one in dead]
    assert {verdict.quarantined for verdict in first + again} == {False}
    assert {verdict.state for verdict in again} == {LinkState.BROKEN}


def test_one_person_alone_puts_no_provider_into_quarantine(stores: Harness, link: Link) -> None:
    for number in range(30):
        assert not refuse(stores, linked(stores, number, ANN), rule=FOUR).quarantined
    for _ in range(5):
        stores.advance(PAUSE + SECOND)
        assert not refuse(stores, link, rule=FOUR).quarantined
        stores.advance(PAUSE + SECOND)
        refuse(stores, link, rule=FOUR)
        link = stores.links.attach(new_link(), event("link.created"))
    assert stores.quarantines.quarantined() == {}


def test_refusals_long_ago_do_not_count(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(4)]
    for link in links[:3]:
        refuse(stores, link, rule=FOUR)
    stores.advance(FOUR.window + SECOND)
    assert not refuse(stores, links[3], rule=FOUR).quarantined


def test_links_that_broke_just_before_the_quarantine_are_suspect_again(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(4)]
    refuse(stores, links[0], ANOTHERS, rule=FOUR)
    quarantine(stores, links[1:])
    assert held(stores, links[0]).link.state is LinkState.SUSPECT


def test_links_that_broke_long_before_the_quarantine_stay_broken(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(5)]
    refuse(stores, links[0], ANOTHERS, rule=FOUR)
    stores.advance(FOUR.window + SECOND)
    quarantine(stores, links[1:])
    assert held(stores, links[0]).link.state is LinkState.BROKEN


def test_in_quarantine_one_link_a_minute_is_tried(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(8)]
    quarantine(stores, links[:4])
    assert stores.links.take_lease(links[4], "node-1/a", LENGTH) is None
    stores.advance(MINUTE + SECOND)
    leases = in_parallel(4, lambda number: stores.links.take_lease(links[4 + number], f"node-1/{number}", LENGTH))
    assert sum(lease is not None for lease in leases) == 1


def test_a_refusal_in_quarantine_breaks_nothing_and_lets_other_links_have_their_turn(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(4)]
    quarantine(stores, links)
    stores.advance(MINUTE + SECOND)
    verdict = refuse(stores, links[0], ANOTHERS)
    assert (verdict.state, verdict.quarantined) == (LinkState.SUSPECT, False)
    assert verdict.retry_in > MINUTE


def test_the_next_probe_is_told(stores: Harness) -> None:
    assert stores.quarantines.next_probe(IDP1) is None
    quarantine(stores, [linked(stores, number) for number in range(4)])
    wait = stores.quarantines.next_probe(IDP1)
    assert wait is not None
    assert MINUTE - 5 * SECOND < wait <= MINUTE
    stores.advance(2 * MINUTE)
    assert stores.quarantines.next_probe(IDP1) == ZERO


def test_other_providers_are_not_in_quarantine(stores: Harness) -> None:
    quarantine(stores, [linked(stores, number) for number in range(4)])
    other = provider("idp2")
    link = stores.links.attach(new_link(at=other), event())
    assert stores.links.take_lease(link, "node-1/a", LENGTH) is not None


def test_an_operator_ends_the_quarantine_and_refusals_begin_anew(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(8)]
    quarantine(stores, links[:4])
    assert stores.quarantines.lift(IDP1, event("provider.resumed"))
    assert (stores.quarantines.quarantined(), actions(stores)[-1]) == ({}, "provider.resumed")
    verdicts = [refuse(stores, link, rule=FOUR) for link in links[4:]]
    assert [verdict.quarantined for verdict in verdicts] == [False, False, False, True]


def test_links_that_are_dead_break_after_the_quarantine_and_do_not_begin_another(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(6)]
    quarantine(stores, links[:4])
    stores.quarantines.lift(IDP1, event("provider.resumed"))
    stores.advance(2 * MINUTE + SECOND)
    assert {refuse(stores, link, rule=FOUR) for link in links[:4]} == {Verdict(LinkState.BROKEN, PAUSE, False)}
    assert not refuse(stores, links[4], rule=FOUR).quarantined
    assert stores.quarantines.quarantined() == {}


def test_links_that_an_operator_gave_up_stay_broken_in_the_next_quarantine(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(9)]
    quarantine(stores, links[:4])
    stores.quarantines.lift(IDP1, event("provider.resumed"))
    stores.advance(2 * MINUTE + SECOND)
    for link in links[:4]:
        refuse(stores, link, rule=FOUR)
    refuse(stores, links[8], ANOTHERS, rule=FOUR)
    assert [refuse(stores, link, rule=FOUR).quarantined for link in links[4:7]] == [False, False, True]
    assert [held(stores, link).link.state for link in links[:4]] == [LinkState.BROKEN] * 4
    assert held(stores, links[8]).link.state is LinkState.SUSPECT


def test_an_operator_who_believes_the_provider_gives_up_all_links_that_it_refuses(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(10)]
    quarantine(stores, links[:4])
    assert stores.quarantines.lift(IDP1, event("provider.resumed"), believe=True)
    stores.advance(2 * MINUTE + SECOND)
    assert {refuse(stores, link, rule=FOUR).state for link in links[:4]} == {LinkState.BROKEN}
    assert {refuse(stores, link, rule=FOUR).state for link in links[4:]} == {LinkState.SUSPECT}
    stores.advance(PAUSE + SECOND)
    assert {refuse(stores, link, rule=FOUR).state for link in links[4:]} == {LinkState.BROKEN}
    assert stores.quarantines.quarantined() == {}


def test_tokens_that_were_given_after_an_operator_believed_the_provider_are_protected_again(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(10)]
    quarantine(stores, links[:4])
    stores.quarantines.lift(IDP1, event("provider.resumed"), believe=True)
    stores.advance(2 * MINUTE + SECOND)
    for link in links[4:6]:
        grant(stores, link)
    stores.advance(RULE.window)
    given_up = [refuse(stores, link, rule=FOUR) for link in links[6:]]
    fresh = [*links[4:6], linked(stores, 10), linked(stores, 11)]
    verdicts = given_up + [refuse(stores, link, rule=FOUR) for link in fresh]
    assert [verdict.quarantined for verdict in verdicts] == [False] * 7 + [True]


def test_suspect_links_are_tried_again_soon_after_the_quarantine(stores: Harness) -> None:
    links = [linked(stores, number) for number in range(4)]
    quarantine(stores, links)
    stores.quarantines.lift(IDP1, event())
    stores.advance(2 * MINUTE + SECOND)
    assert all(stores.links.take_lease(held(stores, link).link, "node-1/a", LENGTH) for link in links)


def test_a_provider_that_is_not_in_quarantine_cannot_be_let_out(stores: Harness) -> None:
    assert not stores.quarantines.lift(IDP1, event("provider.resumed"))
    assert stores.events() == []


def test_a_user_whose_link_is_refused_is_not_another(stores: Harness) -> None:
    bob = stores.links.attach(new_link(user=Profile(replace(ANN.identity, subject="bob"))), event())
    assert stores.links.take_lease(bob, "node-1/a", LENGTH) is not None

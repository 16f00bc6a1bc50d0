"""What every LinkStore promises about leases, the fence, and what a refresh leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.harness import (
    ANN,
    HOUR,
    ZERO,
    Harness,
    break_link,
    event,
    in_parallel,
    new_link,
    provider,
    tokens,
    unknown_link,
)
from tokenstore.core.model import (
    AccessToken,
    Asked,
    Holding,
    Lease,
    Link,
    LinkState,
    Provider,
    ProviderId,
    Rotation,
    RotationKind,
    TokenSet,
)
from tokenstore.core.ports import Failure
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable

IDP1 = ProviderId("idp1")
LENGTH = timedelta(seconds=20)
LAPSE = timedelta(seconds=5)
NOTHING = Asked()
KEEP_OLD = Rotation(RotationKind.KEEP_OLD)


@pytest.fixture
def link(stores: Harness) -> Link:
    return stores.links.attach(new_link(), event("link.created"))


def held(stores: Harness, asked: Asked = NOTHING) -> Holding:
    holding = stores.links.read(ANN.identity, IDP1, None, asked.variant)
    assert holding is not None
    return holding


def taken(stores: Harness, link: Link, owner: str = "node-1") -> Lease:
    lease = stores.links.take_lease(link, owner, LENGTH)
    assert lease is not None
    return lease


def owed_tokens(stores: Harness) -> list[str]:
    claimed = [stores.outbox.claim(row, LENGTH) for row in stores.owed()]
    return sorted(row.token.reveal() for row in claimed if row)


def save(
    stores: Harness,
    lease: Lease,
    received: TokenSet | None = None,
    at: Provider | None = None,
    asked: Asked = NOTHING,
    elapsed: timedelta = ZERO,
) -> AccessToken | None:
    received = received or tokens("access-2", "refresh-2")
    return stores.links.save_refreshed(lease, at or provider(), received, asked, elapsed, event("token.refresh"))


def test_a_lease_brings_the_refresh_token_and_its_end(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    assert (lease.owner, lease.version, lease.refresh_token) == ("node-1", 1, Secret("refresh-1"))
    assert lease.previous_token is None
    now = held(stores)
    until = lease.link.lease_until
    assert until is not None
    assert now.link.lease_until == until
    assert abs(until - now.now - LENGTH) < LAPSE


def test_of_twenty_who_take_the_lease_one_gets_it(stores: Harness, link: Link) -> None:
    leases = in_parallel(20, lambda number: stores.links.take_lease(link, f"node-{number}", LENGTH))
    assert sum(lease is not None for lease in leases) == 1


def test_a_lease_that_lapsed_can_be_taken_by_another(stores: Harness, link: Link) -> None:
    taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    assert taken(stores, link, "node-2").owner == "node-2"


def test_a_link_that_moved_gives_no_lease(stores: Harness, link: Link) -> None:
    save(stores, taken(stores, link))
    assert stores.links.take_lease(link, "node-1", LENGTH) is None


def test_a_broken_link_gives_no_lease(stores: Harness, link: Link) -> None:
    break_link(stores.links, taken(stores, link), event())
    assert stores.links.take_lease(held(stores).link, "node-1", LENGTH) is None


def test_a_link_without_refresh_token_gives_no_lease(stores: Harness) -> None:
    bare = stores.links.attach(new_link(received=tokens(refresh=None)), event())
    assert stores.links.take_lease(bare, "node-1", LENGTH) is None


@pytest.mark.usefixtures("link")
def test_an_unlinked_link_gives_no_lease(stores: Harness) -> None:
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert stores.links.take_lease(gone.link, "node-1", LENGTH) is None


def test_a_lease_whose_token_cannot_be_opened_is_given_back(stores: Harness, link: Link) -> None:
    stores.spoil(link.id)
    with pytest.raises(KeyUnavailable):
        stores.links.take_lease(link, "node-1", LENGTH)
    (standing,) = stores.links.standings(ANN.identity)
    assert standing.link == link


def test_the_holder_prolongs_its_lease(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.advance(timedelta(seconds=15))
    assert stores.links.renew_lease(lease, LENGTH)
    stores.advance(timedelta(seconds=15))
    assert stores.links.take_lease(link, "node-2", LENGTH) is None


def test_a_lease_taken_by_another_cannot_be_prolonged(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    taken(stores, link, "node-2")
    assert not stores.links.renew_lease(lease, LENGTH)


def test_a_lease_of_an_unlinked_link_cannot_be_prolonged(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert not stores.links.renew_lease(lease, LENGTH)


def test_a_released_lease_leaves_the_link_as_it_was(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), None)
    assert held(stores).link == link


def test_a_failure_is_recorded_and_rests_the_link(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), Failure("timeout", timedelta(minutes=1)))
    failed = held(stores)
    assert (failed.link.fail_count, failed.link.last_error, failed.link.version) == (1, "timeout", 1)
    assert failed.link.last_error_at is not None
    assert failed.link.next_try_at is not None
    assert abs(failed.link.next_try_at - failed.now - timedelta(minutes=1)) < LAPSE
    assert stores.links.take_lease(link, "node-1", LENGTH) is None
    stores.advance(timedelta(minutes=1, seconds=1))
    assert taken(stores, link).link.fail_count == 1


def test_a_failure_that_does_not_count_rests_the_link_all_the_same(stores: Harness, link: Link) -> None:
    failure = Failure("misconfigured:invalid_client", timedelta(seconds=10), counts=False)
    stores.links.release_lease(taken(stores, link), failure)
    now = held(stores).link
    assert (now.fail_count, now.last_error) == (0, "misconfigured:invalid_client")
    assert now.next_try_at is not None


def test_only_the_holder_releases_a_lease(stores: Harness, link: Link) -> None:
    late = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    taken(stores, link, "node-2")
    stores.links.release_lease(late, Failure("timeout", HOUR))
    now = held(stores).link
    assert (now.fail_count, now.next_try_at) == (0, None)
    assert now.lease_until is not None


def test_a_saved_refresh_moves_the_link_and_serves_the_token(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    token = save(stores, lease, tokens("access-2", "refresh-2", extra={"a": 1}), elapsed=timedelta(seconds=2))
    now = held(stores)
    assert now.token == token
    assert token is not None
    assert (token.value, token.extra, token.scopes) == (Secret("access-2"), {"a": 1}, link.scopes_granted)
    assert (now.link.version, now.link.state, now.link.lease_until) == (2, LinkState.ACTIVE, None)
    assert now.link.last_refresh_at is not None
    assert token.expires_at is not None
    assert abs(token.expires_at - now.now - HOUR + timedelta(seconds=2)) < LAPSE
    assert taken(stores, now.link).refresh_token == Secret("refresh-2")
    assert stores.events()[-1][0] == "token.refresh"


def test_refresh_keeps_old_refresh_token_when_none_is_returned(stores: Harness) -> None:
    received = tokens(refresh_expires_in=HOUR)
    linked = stores.links.attach(new_link(received=received), event())
    save(stores, taken(stores, linked), tokens("access-2", None))
    now = held(stores).link
    assert (now.version, now.refresh_expires_at) == (2, linked.refresh_expires_at)
    assert taken(stores, now).refresh_token == Secret("refresh-1")


def test_a_new_refresh_token_of_unknown_end_has_no_end(stores: Harness) -> None:
    linked = stores.links.attach(new_link(received=tokens(refresh_expires_in=HOUR)), event())
    save(stores, taken(stores, linked))
    assert held(stores).link.refresh_expires_at is None


def test_saving_clears_the_failures(stores: Harness, link: Link) -> None:
    stores.links.release_lease(taken(stores, link), Failure("timeout", timedelta(seconds=1)))
    stores.advance(timedelta(seconds=2))
    save(stores, taken(stores, link))
    now = held(stores).link
    assert (now.fail_count, now.next_try_at, now.last_error, now.last_error_at) == (0, None, None, None)


def test_a_lapsed_lease_still_saves_when_nobody_moved_the_link(stores: Harness, link: Link) -> None:
    late = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    taken(stores, link, "node-2")
    assert save(stores, late) is not None


def test_a_late_answer_heals_a_broken_link(stores: Harness, link: Link) -> None:
    late = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    break_link(stores.links, taken(stores, link, "node-2"), event())
    assert save(stores, late) is not None
    assert held(stores).link.state is LinkState.ACTIVE


def test_a_stale_fence_never_overwrites(stores: Harness, link: Link) -> None:
    stale = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    save(stores, taken(stores, link, "node-2"))
    before = held(stores)
    assert save(stores, stale, tokens("stale", "stale")) is None
    assert not stores.links.save_rotation(stale, provider(), Secret("stale"), ZERO, Failure("odd", ZERO))
    after = held(stores)
    assert (after.link, after.token) == (before.link, before.token)
    assert taken(stores, after.link).refresh_token == Secret("refresh-2")


def test_of_parallel_saves_of_one_version_one_passes_the_fence(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    received = [tokens(f"access-{number}", f"refresh-{number}") for number in range(10)]
    saved = in_parallel(10, lambda number: save(stores, lease, received[number]))
    (winner,) = [number for number, token in enumerate(saved) if token is not None]
    now = held(stores)
    assert now.token == saved[winner]
    assert taken(stores, now.link).refresh_token == Secret(f"refresh-{winner}")


def test_a_refresh_does_not_revive_an_unlinked_link(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert save(stores, lease) is None
    assert stores.links.read(ANN.identity, IDP1, link.id, NOTHING.variant) is None


def test_a_missed_fence_writes_no_event(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.links.unlink(ANN.identity, IDP1, None, event("link.deleted"))
    save(stores, lease)
    assert [action for action, _, _ in stores.events()] == ["link.created", "link.deleted"]


def test_a_rotation_that_came_alone_is_kept(stores: Harness, link: Link) -> None:
    before = held(stores)
    failure = Failure("odd", ZERO)
    assert stores.links.save_rotation(taken(stores, link), provider(), Secret("refresh-2"), ZERO, failure)
    now = held(stores)
    assert (now.link.version, now.link.lease_until, now.token) == (2, None, before.token)
    assert taken(stores, now.link).refresh_token == Secret("refresh-2")


def test_a_rotation_that_came_alone_is_a_failure_and_rests_the_link(stores: Harness, link: Link) -> None:
    failure = Failure("no-access-token", timedelta(minutes=1))
    stores.links.save_rotation(taken(stores, link), provider(), Secret("refresh-2"), ZERO, failure)
    now = held(stores).link
    assert (now.fail_count, now.last_error, now.state) == (1, "no-access-token", LinkState.ACTIVE)
    assert stores.links.take_lease(now, "node-1", LENGTH) is None
    stores.advance(timedelta(minutes=1, seconds=1))
    assert taken(stores, now).refresh_token == Secret("refresh-2")


def test_a_strict_provider_is_never_sent_a_previous_token(stores: Harness, link: Link) -> None:
    save(stores, taken(stores, link))
    assert taken(stores, held(stores).link).previous_token is None


@pytest.mark.parametrize("rotation", [KEEP_OLD, Rotation(RotationKind.GRACE, timedelta(seconds=30))])
def test_the_replaced_token_is_kept_where_it_may_still_work(stores: Harness, link: Link, rotation: Rotation) -> None:
    save(stores, taken(stores, link), at=provider(rotation=rotation))
    assert taken(stores, held(stores).link).previous_token == Secret("refresh-1")


def test_the_replaced_token_is_kept_for_the_grace_only(stores: Harness, link: Link) -> None:
    at = provider(rotation=Rotation(RotationKind.GRACE, timedelta(seconds=30)))
    save(stores, taken(stores, link), at=at)
    stores.advance(timedelta(seconds=31))
    assert taken(stores, held(stores).link).previous_token is None


def test_the_grace_of_the_replaced_token_counts_from_its_use_and_not_from_saving(stores: Harness, link: Link) -> None:
    at, late = provider(rotation=Rotation(RotationKind.GRACE, timedelta(seconds=30))), timedelta(seconds=20)
    save(stores, taken(stores, link), at=at, elapsed=late)
    failure = Failure("odd", ZERO)
    assert stores.links.save_rotation(taken(stores, held(stores).link), at, Secret("refresh-3"), late, failure)
    lease = taken(stores, held(stores).link)
    assert lease.previous_token == Secret("refresh-2")
    stores.links.release_lease(lease, None)
    stores.advance(timedelta(seconds=11))
    assert taken(stores, held(stores).link).previous_token is None


def test_a_replaced_token_whose_grace_is_over_is_not_kept(stores: Harness, link: Link) -> None:
    at = provider(rotation=Rotation(RotationKind.GRACE, timedelta(seconds=30)))
    save(stores, taken(stores, link), at=at, elapsed=timedelta(seconds=30))
    assert taken(stores, held(stores).link).previous_token is None


def test_a_superseded_token_is_kept_as_the_previous_one(stores: Harness, link: Link) -> None:
    stale = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    save(stores, taken(stores, link, "node-2"))
    stores.links.settle_superseded(stale.link, provider(), tokens("stale", "refresh-stale"))
    lease = taken(stores, held(stores).link)
    assert (lease.refresh_token, lease.previous_token) == (Secret("refresh-2"), Secret("refresh-stale"))
    assert stores.owed() == []


def test_a_superseded_token_of_an_earlier_grant_is_owed_where_that_ends_it_alone(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stale = taken(stores, stores.links.attach(new_link(at=at), event()))
    again = stores.links.attach(new_link(at=at, received=tokens("access-2", "refresh-2")), event())
    row = stores.links.settle_superseded(stale.link, at, tokens("stale", "refresh-stale"))
    assert row in stores.owed()
    assert owed_tokens(stores) == ["refresh-1", "refresh-stale"]
    assert taken(stores, again).previous_token is None


def test_a_superseded_token_of_an_earlier_grant_is_kept_where_revoking_could_end_the_new_one(
    stores: Harness, link: Link
) -> None:
    stale = taken(stores, link)
    again = stores.links.attach(new_link(received=tokens("access-2", "refresh-2")), event())
    assert stores.links.settle_superseded(stale.link, provider(), tokens("stale", "refresh-stale")) is None
    assert taken(stores, again).previous_token == Secret("refresh-stale")


def test_a_superseded_token_of_the_same_grant_is_kept_wherever_it_is_from(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    link = stores.links.attach(new_link(at=at, received=tokens("access-2", "refresh-2")), event())
    stale = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    save(stores, taken(stores, link, "node-2"), received=tokens("access-3", "refresh-3"), at=at)
    assert stores.links.settle_superseded(stale.link, at, tokens("stale", "refresh-stale")) is None
    assert taken(stores, held(stores).link).previous_token == Secret("refresh-stale")


def test_unlinking_owes_the_previous_token_too(stores: Harness, link: Link) -> None:
    save(stores, taken(stores, link), at=provider(rotation=KEEP_OLD))
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert owed_tokens(stores) == ["refresh-1", "refresh-2"]


def test_unlinking_does_not_owe_a_previous_token_that_has_ended(stores: Harness, link: Link) -> None:
    grace = Rotation(RotationKind.GRACE, timedelta(seconds=30))
    save(stores, taken(stores, link), at=provider(rotation=grace))
    stores.advance(timedelta(seconds=31))
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert owed_tokens(stores) == ["refresh-2"]


@pytest.mark.parametrize(("revokes_grant", "owed"), [(False, ["refresh-1", "refresh-2"]), (True, [])])
def test_linking_again_owes_the_previous_token_too_where_that_ends_it_alone(
    stores: Harness, revokes_grant: bool, owed: list[str]
) -> None:
    at = provider(rotation=KEEP_OLD, revokes_grant=revokes_grant)
    save(stores, taken(stores, stores.links.attach(new_link(at=at), event())), at=at)
    stores.links.attach(new_link(at=at, received=tokens("access-3", "refresh-3")), event())
    assert owed_tokens(stores) == owed


def test_linking_again_with_another_client_and_no_refresh_token_owes_the_stored_one(stores: Harness) -> None:
    stores.links.attach(new_link(at=provider(revokes_grant=False)), event())
    at = provider(client_id="client-2", revokes_grant=False)
    stores.links.attach(new_link(at=at, received=tokens("access-2", None)), event())
    assert owed_tokens(stores) == ["refresh-1"]


@pytest.mark.parametrize(("revokes_grant", "owed"), [(False, ["refresh-late"]), (True, [])])
def test_what_came_for_a_link_that_is_gone_is_owed_unless_that_could_end_a_grant(
    stores: Harness, link: Link, revokes_grant: bool, owed: list[str]
) -> None:
    gone = replace(taken(stores, link).link, id=unknown_link())
    row = stores.links.settle_superseded(gone, provider(revokes_grant=revokes_grant), tokens("late", "refresh-late"))
    assert (row is None) == revokes_grant
    assert owed_tokens(stores) == owed


def test_what_came_for_a_link_that_is_gone_is_owed_where_nothing_rests_on_its_grant(
    stores: Harness, link: Link
) -> None:
    gone = replace(taken(stores, link).link, id=unknown_link())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.settle_superseded(gone, provider(), tokens("late", "refresh-late"))
    assert owed_tokens(stores) == ["refresh-1", "refresh-late"]


def test_what_came_for_an_unlinked_link_is_owed(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert stores.links.settle_superseded(lease.link, provider(), tokens("late", "refresh-late")) in stores.owed()
    assert owed_tokens(stores) == ["refresh-1", "refresh-late"]


def test_an_access_token_that_came_for_an_unlinked_link_is_owed(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.settle_superseded(lease.link, provider(), tokens("late", None))
    assert owed_tokens(stores) == ["late", "refresh-1"]


def test_a_superseded_token_of_another_client_is_owed_to_that_client(stores: Harness, link: Link) -> None:
    stale = taken(stores, link)
    again = stores.links.attach(
        new_link(at=provider(client_id="client-2"), received=tokens("access-2", "refresh-2")), event()
    )
    row = stores.links.settle_superseded(stale.link, provider(), tokens("stale", "refresh-stale"))
    assert row is not None
    owed = stores.outbox.claim(row, LENGTH)
    assert owed is not None
    assert (owed.client_id, owed.token) == ("client-1", Secret("refresh-stale"))
    assert taken(stores, again).previous_token is None


def test_the_current_token_is_not_kept_as_its_own_predecessor(stores: Harness, link: Link) -> None:
    lease = taken(stores, link)
    save(stores, lease, at=provider(rotation=KEEP_OLD))
    assert stores.links.settle_superseded(lease.link, provider(), tokens("access-2", "refresh-2")) is None
    now = taken(stores, held(stores).link)
    assert (now.refresh_token, now.previous_token) == (Secret("refresh-2"), Secret("refresh-1"))


def variant(number: int) -> Asked:
    return Asked(audience=f"https://api-{number}.example")


def test_variants_are_kept_beside_each_other(stores: Harness, link: Link) -> None:
    save(stores, taken(stores, link), tokens("variant", None), asked=variant(1))
    assert held(stores).token != held(stores, variant(1)).token
    assert held(stores).token is not None


def test_a_narrower_variant_does_not_change_what_the_link_holds(stores: Harness, link: Link) -> None:
    asked = Asked(scopes=frozenset({"openid"}))
    token = save(stores, taken(stores, link), tokens("narrow", None, scopes=frozenset({"openid"})), asked=asked)
    assert token is not None
    assert token.scopes == frozenset({"openid"})
    assert held(stores).link.scopes_granted == link.scopes_granted


def test_fewer_scopes_than_before_are_recorded(stores: Harness, link: Link) -> None:
    save(stores, taken(stores, link), tokens("access-2", scopes=frozenset({"openid"})))
    assert held(stores).link.scopes_granted == frozenset({"openid"})


def test_a_refresh_that_ends_earlier_access_tokens_drops_the_other_variants(stores: Harness, link: Link) -> None:
    at = provider(refresh_ends_access=True)
    save(stores, taken(stores, link), tokens("variant", None), at=at, asked=variant(1))
    assert held(stores).token is None
    assert held(stores, variant(1)).token is not None


@pytest.mark.usefixtures("link")
def test_the_seventeenth_variant_ends_the_least_recently_issued(stores: Harness) -> None:
    for number in range(16):
        stores.advance(timedelta(milliseconds=5))
        save(stores, taken(stores, held(stores).link), tokens(f"variant-{number}", None), asked=variant(number))
    assert held(stores).token is None
    assert all(held(stores, variant(number)).token is not None for number in range(16))


def test_a_broken_link_says_why_and_keeps_its_access_token(stores: Harness, link: Link) -> None:
    assert break_link(stores.links, taken(stores, link), event("link.broken"))
    now = held(stores)
    assert (now.link.state, now.link.last_error, now.link.version) == (LinkState.BROKEN, "invalid_grant", 1)
    assert now.link.last_error_at is not None
    assert now.link.lease_until is None
    assert now.token is not None
    assert stores.events()[-1][0] == "link.broken"


def test_a_link_that_moved_is_not_broken(stores: Harness, link: Link) -> None:
    stale = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    save(stores, taken(stores, link, "node-2"))
    assert not break_link(stores.links, stale, event("link.broken"))
    assert held(stores).link.state is LinkState.ACTIVE
    assert "link.broken" not in [action for action, _, _ in stores.events()]


def test_a_link_that_another_is_refreshing_is_not_broken(stores: Harness, link: Link) -> None:
    stale = taken(stores, link)
    stores.advance(LENGTH + LAPSE)
    taken(stores, link, "node-2")
    assert not break_link(stores.links, stale, event())
    assert held(stores).link.state is LinkState.ACTIVE


TRANSFER = Asked(audience="transfer.api.globus.org")


def with_other(received: TokenSet, value: str) -> TokenSet:
    other = TokenSet(Secret(value), timedelta(hours=1), scopes=frozenset({"all"}))
    return replace(received, others={"transfer.api.globus.org": other})


def test_tokens_that_came_along_at_linking_are_variants_of_their_audience(stores: Harness) -> None:
    link = stores.links.attach(new_link(received=with_other(tokens(), "transfer-1")), event())
    found = stores.links.read(ANN.identity, link.provider_id, link.id, TRANSFER.variant)
    assert found is not None
    assert found.token is not None
    assert (found.token.value, found.token.scopes) == (Secret("transfer-1"), frozenset({"all"}))
    assert held(stores).token is not None


@pytest.mark.usefixtures("link")
def test_tokens_that_came_along_with_a_refresh_replace_theirs(stores: Harness) -> None:
    save(stores, taken(stores, held(stores).link), with_other(tokens("access-2", "refresh-2"), "transfer-2"))
    found = held(stores, TRANSFER)
    assert found.token is not None
    assert found.token.value == Secret("transfer-2")

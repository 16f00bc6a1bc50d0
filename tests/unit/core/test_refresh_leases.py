"""The time of a lease and of a flight: nothing is sent under a lease that may be over, nothing begun too late."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support.core_world import GRACE, World, provider
from support.fake_provider import granted
from support.fake_spool import FakeSpool
from support.fakes import FakeLinkStore
from support.refreshing import bring, failure, others_save, spent
from tokenstore.core.model import (
    NO_RESPECT,
    Asked,
    Doubt,
    Lease,
    Link,
    LinkId,
    LinkState,
    Misconfigured,
    Outcome,
    Refused,
    Respect,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import Base
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled, SpoolPlace
from tokenstore.errors import ProviderUnavailable, RefreshInProgress, StorageUnavailable

LEASE = timedelta(seconds=20)
DEADLINE = timedelta(seconds=12)


class SlowSpool(FakeSpool):
    """A spool whose disk is slow: `meanwhile` is what happens while room is reserved."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def reserve(self, _link: Link) -> SpoolPlace:
        place = super().reserve(_link)
        self._meanwhile()
        return place


class SlowLinks(FakeLinkStore):
    """A store of a world that answers late, after it has committed. Seconds."""

    def __init__(self, world: World, *, taking: float = 0, renewing: float = 0) -> None:
        super().__init__(world.stores.database)
        self._world, self._taking, self._renewing = world, taking, renewing
        self.renewed = 0

    def take_lease(self, link: Link, owner: str, length: timedelta, respect: Respect = NO_RESPECT) -> Lease | None:
        lease = super().take_lease(link, owner, length, respect)
        passes(self._world, self._taking)
        return lease

    def renew_lease(self, lease: Lease, length: timedelta, doubt: Doubt | None = None) -> bool:
        self.renewed += 1
        renewed = super().renew_lease(lease, length, doubt)
        passes(self._world, self._renewing)
        return renewed


def passes(world: World, seconds: float) -> None:
    """Time passes, for the database and for us."""
    world.time.now += seconds
    world.advance(seconds)


def after(world: World, seconds: float, outcome: Outcome) -> Callable[[], Outcome]:
    """A provider that takes so long."""

    def answer() -> Outcome:
        passes(world, seconds)
        return outcome

    return answer


def lasting(world: World, link: Link, lasts: list[timedelta]) -> Callable[[], Outcome]:
    """A provider that notes how much of the lease is left when it is called."""

    def look() -> Outcome:
        until = world.row(link).link.lease_until
        assert until is not None
        lasts.append(until - world.now)
        return granted("new", refresh="refresh-2")

    return look


def spooled(world: World, link: Link) -> None:
    """An answer of the link's present token lies in the spool."""
    tokens = TokenSet(Secret("spooled"), timedelta(hours=1), Secret("refresh-2"))
    world.spool.answers.append(Spooled(link.id, world.row(link).link.version, Asked(), tokens, world.time.timing.now()))


def leased(world: World, link: Link, owner: str) -> Lease:
    lease = world.stores.links.take_lease(world.row(link).link, owner, LEASE)
    assert lease is not None
    return lease


# The lease.


@pytest.mark.parametrize("seconds", [7, 15, 21, 300])
def test_a_lease_that_may_be_over_too_soon_is_renewed_before_anything_is_sent(
    world: World, link: Link, seconds: int
) -> None:
    world.spool, lasts = SlowSpool(lambda: passes(world, seconds)), list[timedelta]()
    world.client.refreshes = [lasting(world, link, lasts)]
    assert bring(world, link).value.reveal() == "new"
    assert lasts == [LEASE]


def test_a_lease_whose_taking_was_answered_late_is_renewed_before_anything_is_sent(world: World, link: Link) -> None:
    world.links, lasts = SlowLinks(world, taking=21), list[timedelta]()
    world.client.refreshes = [lasting(world, link, lasts)]
    assert bring(world, link).value.reveal() == "new"
    assert lasts == [LEASE]


@pytest.mark.parametrize("grace", [None, 5, 12, 15, 19, 60])
def test_a_lease_that_was_just_taken_is_not_renewed(grace: int | None) -> None:
    world = World(provider() if grace is None else provider(rotation=replace(GRACE, grace=timedelta(seconds=grace))))
    link = world.link(seconds=3600, age=4000)
    world.links = links = SlowLinks(world)
    world.client.refreshes = [granted()]
    bring(world, link)
    assert links.renewed == 0


def test_nothing_is_sent_under_a_lease_that_went_to_another_meanwhile(world: World, link: Link) -> None:
    def overtaken() -> None:
        passes(world, 21)
        leased(world, link, "node-1/other")

    world.spool = SlowSpool(overtaken)
    assert isinstance(failure(world, link), RefreshInProgress)
    assert (spent(world), world.spool.closed, world.row(link).lease_owner) == ([], 1, "node-1/other")


def test_nothing_is_sent_where_even_the_renewal_takes_too_long(world: World, link: Link) -> None:
    world.spool = SlowSpool(lambda: passes(world, 21))
    world.links = SlowLinks(world, renewing=15)
    assert isinstance(failure(world, link), StorageUnavailable)
    row = world.row(link)
    assert (spent(world), row.lease_owner, row.link.doubt, world.spool.closed) == ([], None, None, 1)


def test_a_fault_before_anything_is_sent_leaves_no_lease_and_no_doubt(world: World, link: Link) -> None:
    def fault() -> None:
        raise ZeroDivisionError

    world.spool = SlowSpool(fault)
    with pytest.raises(ZeroDivisionError):
        bring(world, link)
    assert world.row(link).lease_owner is None


# The flight.


def test_a_pause_counts_in_what_a_flight_may_last(world: World, link: Link) -> None:
    world.client.refreshes = [after(world, 13, Unavailable("status-500"))]
    assert isinstance(failure(world, link), ProviderUnavailable)
    assert spent(world) == ["refresh-1"]


def grace_world() -> tuple[World, Link]:
    """A link with a previous token at a provider that takes a used one for a minute."""
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now + timedelta(minutes=5)
    return world, link


def test_the_previous_token_begins_no_second_flight() -> None:
    world, link = grace_world()
    world.client.refreshes = [
        after(world, 12, Refused("invalid_grant")),
        after(world, 12, Unclear("read-timeout")),
    ]
    assert isinstance(failure(world, link), ProviderUnavailable)
    assert spent(world) == ["refresh-1", "refresh-0"]


def test_a_previous_token_that_there_is_no_time_for_is_kept_for_the_next_flight() -> None:
    world, link = grace_world()
    world.client.refreshes = [
        after(world, 12, Unclear("read-timeout")),
        after(world, 12, Refused("invalid_grant")),
        Refused("invalid_grant"),
        granted("new"),
    ]
    assert isinstance(failure(world, link), ProviderUnavailable)
    row = world.row(link)
    assert (spent(world), row.link.state, row.previous_token) == (
        ["refresh-1", "refresh-1"],
        LinkState.ACTIVE,
        Secret("refresh-0"),
    )
    world.advance(5)
    assert bring(world, link).value.reveal() == "new"
    assert spent(world)[2:] == ["refresh-1", "refresh-0"]


def test_a_refused_scope_of_ours_is_not_said_to_the_caller_when_time_is_over() -> None:
    world = World(provider(refresh_scope="configured"))
    link = world.link(seconds=3600, age=4000)
    world.client.refreshes = [after(world, 15, ScopeRefused("invalid_scope"))]
    assert isinstance(failure(world, link), ProviderUnavailable)


def test_a_retry_is_begun_while_its_end_lies_within_the_flight(world: World, link: Link) -> None:
    world.client.refreshes = [after(world, 11, Unavailable("status-500")), Misconfigured("invalid_client")]
    failure(world, link)
    assert spent(world) == ["refresh-1", "refresh-1"]


# The spool.


def test_an_answer_that_its_flight_is_about_to_save_is_left_to_it(
    world: World, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    leased(world, link, "node-1/live")
    spooled(world, link)
    world.time.meanwhile = lambda: None if world.row(link).lease_owner is None else others_save(world, link)
    assert bring(world, link).value.reveal() == "theirs"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert (world.metrics.fence_misses, spent(world)) == ([], [])


def test_an_answer_that_nobody_saves_is_found_before_its_lease_ends(world: World, link: Link) -> None:
    leased(world, link, "node-1/dead")
    spooled(world, link)
    assert bring(world, link).value.reveal() == "spooled"
    assert (spent(world), world.spool.answers) == ([], [])


def test_an_answer_that_a_dead_process_left_is_found_before_its_token_is_spent_again(world: World, link: Link) -> None:
    leased(world, link, "node-1/dead")
    spooled(world, link)
    world.advance(21)
    assert bring(world, link).value.reveal() == "spooled"
    row = world.row(link)
    assert (spent(world), world.time.slept, row.lease_owner) == ([], [], None)


def test_an_old_answer_in_the_spool_does_not_keep_the_link_from_being_refreshed(world: World, link: Link) -> None:
    spooled(world, link)
    world.change(link, version=link.version + 1)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"
    assert (spent(world), world.spool.answers) == (["refresh-1"], [])


def test_a_lease_is_given_back_where_the_answer_in_the_spool_cannot_be_saved(world: World, link: Link) -> None:
    class Down(FakeLinkStore):
        def base(self, link_id: LinkId) -> Base | None:
            raise StorageUnavailable("The database cannot be used at present.", debug=str(link_id))

    spooled(world, link)
    world.links = Down(world.stores.database)
    assert isinstance(failure(world, link), StorageUnavailable)
    assert (spent(world), world.row(link).lease_owner) == ([], None)


def test_a_follower_without_an_answer_in_the_spool_gives_up_as_ever(world: World, link: Link) -> None:
    leased(world, link, "node-1/live")
    assert isinstance(failure(world, link), RefreshInProgress)

"""The spool's part in a refresh: the answer is safe before the database has it, and after whoever got it is dead."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest

from support.core_world import GRACE, World, provider
from support.fake_provider import granted
from support.fakes import FakeLinkStore, FakeOutbox
from support.refreshing import bring, failing, failure
from tokenstore.core.model import (
    AccessToken,
    Asked,
    AuditEvent,
    Link,
    LinkId,
    LinkState,
    Outcome,
    Provider,
    Refused,
    Unclear,
)
from tokenstore.core.ports import Base
from tokenstore.core.refresh import Replayed
from tokenstore.core.secret import Secret
from tokenstore.errors import StorageUnavailable


def stranded(world: World, link: Link, outcome: Outcome | None = None) -> None:
    """A refresh whose answer the database never took, so that only the spool has it."""
    links = failing(world, math.inf)
    world.client.refreshes = [outcome or granted("new", refresh="refresh-2")]
    assert isinstance(failure(world, link), StorageUnavailable)
    links.failures = 0


def test_nothing_is_sent_when_the_spool_is_full(world: World, link: Link) -> None:
    world.spool.full = True
    assert isinstance(failure(world, link), StorageUnavailable)
    row = world.row(link)
    assert (world.client.refresh_calls, row.lease_owner, row.link.state) == ([], None, LinkState.ACTIVE)


def test_room_is_reserved_before_anything_is_sent(world: World, link: Link) -> None:
    reserved: list[int] = []

    def look() -> Outcome:
        reserved.append(world.spool.reserved)
        return granted()

    world.client.refreshes = [look]
    bring(world, link)
    assert reserved == [1]


def test_a_new_refresh_token_is_in_the_spool_before_the_database_is_asked(world: World, link: Link) -> None:
    class Looking(FakeLinkStore):
        seen: ClassVar[list[str]] = []

        def save_refreshed(self, *about: Any) -> AccessToken | None:
            self.seen.extend(answer.tokens.access_token.reveal() for answer in world.spool.answers)
            return super().save_refreshed(*about)

    world.links = links = Looking(world.stores.database)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    bring(world, link)
    assert links.seen == ["new"]


def test_what_the_database_has_is_out_of_the_spool(world: World, link: Link) -> None:
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    bring(world, link)
    assert (world.spool.answers, world.spool.closed) == ([], 1)


def test_an_answer_without_a_new_refresh_token_needs_no_spool(world: World, link: Link) -> None:
    world.client.refreshes = [granted("new", refresh="refresh-1")]
    bring(world, link)
    assert world.spool.written == []


def test_a_rotated_token_in_a_useless_answer_is_spooled(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("no-access-token", Secret("refresh-2"))]
    failure(world, link)
    (written,) = world.spool.written
    assert (written.rotation_only, written.tokens.refresh_token, world.spool.answers) == (
        True,
        Secret("refresh-2"),
        [],
    )


def test_a_disk_that_fails_after_the_answer_does_not_keep_it_from_the_database(world: World, link: Link) -> None:
    world.spool.failing = True
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    assert bring(world, link).value.reveal() == "new"
    assert world.row(link).refresh_token == Secret("refresh-2")


def test_an_answer_that_the_database_does_not_take_stays_in_the_spool(world: World, link: Link) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    assert (left.link_id, left.version, left.tokens.refresh_token) == (link.id, link.version, Secret("refresh-2"))


def test_the_lease_is_not_given_back_while_an_answer_waits_in_the_spool(world: World, link: Link) -> None:
    stranded(world, link)
    assert world.row(link).lease_owner is not None


def test_the_next_who_asks_finds_the_answer_in_the_spool_and_sends_nothing(world: World, link: Link) -> None:
    stranded(world, link)
    calls = len(world.client.refresh_calls)
    assert bring(world, link).value.reveal() == "new"
    assert (len(world.client.refresh_calls), world.spool.answers) == (calls, [])


def test_a_replay_leaves_link_and_token_as_the_refresh_would_have(world: World, link: Link) -> None:
    stranded(world, link)
    assert world.recovery.replay_all() == Replayed(1, 0)
    row = world.row(link)
    assert (row.refresh_token, row.lease_owner, row.link.version) == (Secret("refresh-2"), None, link.version + 1)
    assert world.stores.database.events[-1].reason == "spool"


def test_the_life_of_a_replayed_token_counts_from_its_request(world: World, link: Link) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, sent_at=left.sent_at - timedelta(seconds=40))]
    world.recovery.replay_all()
    token = world.holding(link).token
    assert token is not None
    assert token.expires_at is not None
    assert timedelta(minutes=58) < token.expires_at - world.now <= timedelta(minutes=59, seconds=20)


@pytest.mark.parametrize("age", [timedelta(minutes=-10), timedelta(minutes=2), timedelta(days=400)])
def test_of_an_answer_whose_age_is_not_sure_the_refresh_token_alone_is_replayed(
    world: World, link: Link, age: timedelta
) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, sent_at=left.sent_at - age)]
    assert world.recovery.replay_all() == Replayed(1, 0)
    row = world.row(link)
    assert (row.refresh_token, row.tokens[Asked().variant].value) == (Secret("refresh-2"), Secret("access-1"))
    assert (row.link.state, row.link.fail_count, row.lease_owner) == (LinkState.ACTIVE, link.fail_count, None)


def test_who_asks_for_a_link_with_an_old_answer_gets_a_token_of_its_refresh_token_at_once(
    world: World, link: Link
) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, sent_at=left.sent_at - timedelta(hours=2))]
    world.client.refreshes = [granted("newer", refresh="refresh-3")]
    world.advance(30)  # the lease of the dead is over
    assert bring(world, link).value.reveal() == "newer"
    assert world.client.refresh_calls[-1].token == "refresh-2"


@pytest.mark.parametrize("state", [LinkState.SUSPECT, LinkState.BROKEN])
def test_a_replay_heals_a_link_that_was_given_up_meanwhile(world: World, link: Link, state: LinkState) -> None:
    stranded(world, link)
    world.change(link, state=state)
    world.recovery.replay_all()
    assert world.row(link).link.state is LinkState.ACTIVE


@pytest.mark.parametrize("at", [provider(), provider(rotation=GRACE)])
def test_a_replay_heals_a_broken_link_whose_token_is_erased(at: Provider) -> None:
    world = World(at)
    link = world.link(seconds=3600, age=4000)
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, sent_at=left.sent_at - timedelta(days=2))]
    world.change(link, state=LinkState.BROKEN)
    world.row(link).refresh_token = None
    assert world.recovery.replay_all() == Replayed(1, 0)
    row = world.row(link)
    assert (row.link.state, row.refresh_token) == (LinkState.ACTIVE, Secret("refresh-2"))
    assert row.previous_token in (None, Secret("refresh-2"))
    world.flights.close()


def test_an_answer_of_a_link_whose_row_is_gone_is_revoked(world: World, link: Link) -> None:
    stranded(world, link)
    del world.stores.database.links[link.id]
    assert world.recovery.replay_all() == Replayed(1, 0)
    assert (world.client.revoked, world.spool.answers) == (["refresh-2"], [])


def test_an_answer_of_a_link_whose_row_is_gone_is_let_go_where_another_may_rest_on_its_grant() -> None:
    world = World(provider(revokes_grant=True))
    link = world.link(seconds=3600, age=4000)
    stranded(world, link)
    del world.stores.database.links[link.id]
    world.link()
    assert world.recovery.replay_all() == Replayed(1, 0)
    assert (world.client.revoked, world.spool.answers) == ([], [])
    world.flights.close()


def test_an_answer_of_a_link_whose_row_is_gone_stays_until_the_database_has_it(world: World, link: Link) -> None:
    stranded(world, link)
    del world.stores.database.links[link.id]

    class Full(FakeOutbox):
        def queue_revocation(self, *_about: object) -> UUID | None:
            raise StorageUnavailable("No room.")

    world.stores = replace(world.stores, outbox=Full(world.stores.database))
    with pytest.raises(StorageUnavailable):
        world.recovery.replay_all()
    assert len(world.spool.answers) == 1


def test_an_answer_that_does_not_say_whose_it_is_stays_when_the_link_is_gone(world: World, link: Link) -> None:
    stranded(world, link)
    world.spool.answers[:] = [replace(world.spool.answers[0], whose=None)]
    del world.stores.database.links[link.id]
    assert world.recovery.replay_all() == Replayed(0, 1)
    assert len(world.spool.answers) == 1


def test_what_the_database_does_not_take_whole_is_replayed_without_its_access_token(world: World, link: Link) -> None:
    stranded(world, link)

    class Choosy(FakeLinkStore):
        def save_refreshed(self, *_about: object) -> AccessToken | None:
            raise ValueError("NUL in a text")

    world.links = Choosy(world.stores.database)
    assert world.recovery.replay_all() == Replayed(1, 0)
    row = world.row(link)
    assert (row.refresh_token, row.tokens[Asked().variant].value) == (Secret("refresh-2"), Secret("access-1"))
    assert world.spool.answers == []


@pytest.mark.parametrize("outcome", [granted("new", refresh="refresh-2"), Unclear("odd", Secret("refresh-2"))])
@pytest.mark.parametrize(("since", "previous"), [(50, Secret("refresh-1")), (70, None)])
def test_the_token_before_an_answer_that_waited_is_kept_for_the_rest_of_its_grace(
    outcome: Outcome, since: float, previous: Secret | None
) -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    stranded(world, link, outcome)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, sent_at=world.time.timing.now() - timedelta(seconds=since))]
    assert world.recovery.replay_all() == Replayed(1, 0)
    row = world.row(link)
    assert (row.refresh_token, row.previous_at(world.now)) == (Secret("refresh-2"), previous)
    assert row.previous_at(world.now + timedelta(seconds=11)) is None


@pytest.mark.parametrize("error", [KeyError("tokens"), StorageUnavailable("a bad sector")])
def test_an_answer_that_cannot_be_read_stays_and_stops_no_other(world: World, error: Exception) -> None:
    first, second = world.link(seconds=3600, age=4000), world.link(seconds=3600, age=4000, subject="b-2")
    stranded(world, first)
    stranded(world, second)
    world.spool.unreadable = [error]
    assert world.recovery.replay_all() == Replayed(1, 1)
    assert [answer.link_id for answer in world.spool.answers] == [first.id]


def test_an_answer_that_the_database_never_takes_stays_and_stops_no_other(world: World) -> None:
    first, second = world.link(seconds=3600, age=4000), world.link(seconds=3600, age=4000, subject="b-2")
    stranded(world, first)
    stranded(world, second)

    class Poisoned(FakeLinkStore):
        def base(self, link_id: LinkId) -> Base | None:
            if link_id == first.id:
                raise ValueError("a row that nobody understands")
            return super().base(link_id)

    world.links = Poisoned(world.stores.database)
    assert world.recovery.replay_all() == Replayed(1, 1)
    assert [answer.link_id for answer in world.spool.answers] == [first.id]


def test_a_replayed_rotation_without_an_access_token_leaves_the_token_cache_alone(world: World, link: Link) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers[:] = [replace(left, rotation_only=True)]
    world.recovery.replay_all()
    row = world.row(link)
    assert (row.refresh_token, row.tokens[Asked().variant].value) == (Secret("refresh-2"), Secret("access-1"))


def test_an_answer_replayed_twice_is_saved_once(world: World, link: Link) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.recovery.replay_all()
    world.spool.answers.append(left)
    world.recovery.replay_all()
    row = world.row(link)
    assert (row.link.version, row.refresh_token, row.previous_token) == (link.version + 1, Secret("refresh-2"), None)


def test_an_answer_of_a_link_that_was_unlinked_meanwhile_is_revoked(world: World, link: Link) -> None:
    stranded(world, link)
    world.stores.links.unlink(world.errand(link).caller.identity, None, link.id, AuditEvent("link.removed", "success"))
    world.recovery.replay_all()
    assert "refresh-2" in world.client.revoked
    assert world.row(link).link.state is LinkState.REVOKED


def test_an_answer_of_an_earlier_linking_is_revoked_where_that_ends_it_alone() -> None:
    world = World(provider(revokes_grant=False))
    link = world.link(seconds=3600, age=4000)
    stranded(world, link)
    world.link(refresh="refresh-new")
    world.recovery.replay_all()
    row = world.row(link)
    assert "refresh-2" in world.client.revoked
    assert (row.refresh_token, row.previous_token) == (Secret("refresh-new"), None)


def test_an_answer_that_came_too_late_does_not_replace_a_newer_token(world: World, link: Link) -> None:
    stranded(world, link)
    (left,) = world.spool.answers
    world.spool.answers.clear()
    world.change(link, lease_until=None, version=link.version + 1)
    world.row(link).refresh_token = Secret("refresh-3")
    world.spool.answers.append(left)
    world.recovery.replay_all()
    row = world.row(link)
    assert (row.refresh_token, row.previous_token) == (Secret("refresh-3"), Secret("refresh-2"))


def test_an_answer_that_cannot_be_opened_stays_and_stops_no_other(world: World) -> None:
    first = world.link(seconds=3600, age=4000)
    second = world.link(seconds=3600, age=4000, subject="b-2")
    stranded(world, first)
    stranded(world, second)
    world.row(first).unopenable = True
    assert world.recovery.replay_all() == Replayed(1, 1)
    assert [answer.link_id for answer in world.spool.answers] == [first.id]


def test_a_provider_that_is_not_configured_any_more_keeps_its_answers(world: World, link: Link) -> None:
    stranded(world, link)
    world.provider = provider(id="other")
    assert world.recovery.replay_all() == Replayed(0, 1)
    assert len(world.spool.answers) == 1


def test_a_refused_refresh_leaves_nothing_in_the_spool(world: World, link: Link) -> None:
    world.client.refreshes = [Refused("invalid_grant")]
    failure(world, link)
    assert (world.spool.written, world.spool.reserved, world.spool.closed) == ([], 1, 1)

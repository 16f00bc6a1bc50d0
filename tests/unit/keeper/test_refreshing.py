"""Looking after the links of one provider, over fakes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from support.core_world import ADA, GRACE, World, provider
from support.fake_provider import granted
from support.fake_spool import FakeSpool
from support.fakes import FakeLinkStore
from tokenstore.core.due import SOONEST, Due
from tokenstore.core.model import (
    NO_RESPECT,
    Asked,
    AuditEvent,
    CallerKind,
    Lease,
    Link,
    LinkId,
    LinkState,
    Outcome,
    Provider,
    Refused,
    Respect,
    RevocationResult,
    Rotation,
    RotationKind,
    Unavailable,
)
from tokenstore.core.ports import Base, Failure
from tokenstore.core.refresh.refresher import respect as wanted
from tokenstore.core.spool import Spooled, SpoolPlace
from tokenstore.errors import StorageUnavailable
from tokenstore.keeper.chores import Done
from tokenstore.keeper.refreshing import AT_ONCE, FORWARD_AT_ONCE, BringForward, LookAfter

MONTH = timedelta(days=30)
OLD = 3590
"""Seconds after which a token of an hour is inside its margin."""


class NoRoom(FakeSpool):
    """A spool that can be looked into and has no room."""

    def reserve(self, _link: Link) -> SpoolPlace:
        raise StorageUnavailable("The spool cannot be used at present.")


@dataclass(slots=True)
class DueOf:
    """The `DueLinks` port over a world: these links are due, and leased as they are taken."""

    world: World
    links: list[Link]
    given_back: dict[object, timedelta | None] = field(default_factory=dict)
    asked: list[tuple[str, int, Respect]] = field(default_factory=list)
    late: int = 0

    def take_due(self, provider: Provider, owner: str, limit: int, respect: Respect = NO_RESPECT) -> Sequence[Due]:
        self.asked.append((provider.id, limit, respect))
        taken: list[Due] = []
        while self.links and len(taken) < limit:
            link = self.world.row(self.links.pop(0)).link
            lease = self.world.links.take_lease(link, owner, provider.rotation.lease)
            assert lease is not None
            token = self.world.holding(link).token
            assert token is not None
            taken.append(Due(lease, ADA, token.issued_at, token.expires_at, self.world.now))
        return taken

    def bring_forward(self, provider: Provider, limit: int) -> int:  # noqa: ARG002  (the port's)
        count = min(limit, self.late)
        self.late -= count
        return count

    def reschedule(self, lease: Lease, due_in: timedelta | None) -> None:
        self.given_back[lease.link.id] = due_in
        self.world.links.release_lease(lease, None)


def kept(world: World, *links: Link, due: type[DueOf] | None = None) -> tuple[LookAfter, DueOf]:
    found = (due or DueOf)(world, list(links))
    chore = LookAfter(
        world.provider,
        found,
        world.refresher,
        world.recovery,
        world.spool,
        world.gate,
        world.metrics,
        unused=MONTH,
        monotonic=world.time.timing.monotonic,
    )
    return chore, found


def old_link(world: World, **changes: Any) -> Link:
    return world.link(age=OLD, **changes)


def test_a_link_inside_the_margin_is_refreshed_without_anybody_asking() -> None:
    world = World()
    link = old_link(world)
    world.client.refreshes = [granted("access-2", refresh="refresh-2")]

    assert kept(world, link)[0].run() == Done(1)

    row = world.row(link)
    assert (row.tokens[Asked().variant].value.reveal(), row.lease_owner) == ("access-2", None)
    assert row.refresh_token is not None
    assert row.refresh_token.reveal() == "refresh-2"
    assert world.metrics.looks == [("idp1", "refreshed")]
    [event] = [event for event in world.stores.database.events if event.action == "token.refresh"]
    assert event.caller is not None
    assert (event.caller.kind, event.caller.identity, event.user) == (CallerKind.KEEPER, ADA, ADA)


def test_a_link_whose_time_has_not_come_is_given_back_with_a_new_time() -> None:
    world = World()
    link = world.link()
    chore, due = kept(world, link)

    chore.run()

    assert world.client.refresh_calls == []
    later = due.given_back[link.id]
    assert later is not None
    assert timedelta(minutes=50) < later < timedelta(hours=1)
    assert (world.row(link).lease_owner, world.metrics.looks) == (None, [("idp1", "later")])


def test_a_suspect_link_heals() -> None:
    world = World()
    link = world.change(world.link(), state=LinkState.SUSPECT)
    world.client.refreshes = [granted("access-2", refresh="refresh-2")]

    kept(world, link)[0].run()

    assert world.row(link).link.state is LinkState.ACTIVE


@pytest.mark.parametrize(("outcome", "failed"), [(Unavailable("status-503"), 1), (Refused("invalid_grant"), 0)])
def test_a_failure_is_the_links_alone_and_told_unless_it_is_the_providers_no_to_it(
    outcome: Outcome, failed: int
) -> None:
    world = World()
    links = [old_link(world), world.link(age=OLD, subject="a-2")]
    world.client.refreshes = [outcome, granted("access-2", refresh="refresh-2")]

    assert kept(world, *links)[0].run() == Done(2, failed=failed)

    assert sorted(world.metrics.looks) == [("idp1", "failed"), ("idp1", "refreshed")]
    assert [world.row(link).lease_owner for link in links] == [None, None]


def test_an_unexpected_error_ends_nothing() -> None:
    world = World()
    link = old_link(world)
    world.client.refreshes = [ZeroDivisionError()]

    assert kept(world, link)[0].run() == Done(1, failed=1)

    assert (world.metrics.looks, world.row(link).lease_owner) == ([("idp1", "failed")], None)


def test_what_a_dead_process_left_in_the_spool_comes_first() -> None:
    world = World()
    link = old_link(world)
    tokens = granted("access-2", refresh="refresh-2").tokens
    world.spool.answers.append(Spooled(link.id, link.version, Asked(), tokens, world.time.timing.now()))

    kept(world, link)[0].run()

    row = world.row(link)
    assert (world.client.refresh_calls, world.spool.answers) == ([], [])
    assert row.refresh_token is not None
    assert (row.refresh_token.reveal(), row.lease_owner) == ("refresh-2", None)
    assert world.metrics.looks == [("idp1", "replayed")]


def test_a_lease_is_given_back_when_what_is_in_the_spool_cannot_be_saved_yet() -> None:
    world = World()
    link = old_link(world)
    tokens = granted("access-2", refresh="refresh-2").tokens
    world.spool.answers.append(Spooled(link.id, link.version, Asked(), tokens, world.time.timing.now()))

    class Down(FakeLinkStore):
        def base(self, link_id: LinkId) -> Base | None:
            raise StorageUnavailable("The database cannot be used at present.", debug=str(link_id))

    world.links = Down(world.stores.database)
    chore, due = kept(world, link)

    chore.run()

    assert (due.given_back, world.metrics.looks) == ({link.id: SOONEST}, [("idp1", "failed")])
    assert world.client.refresh_calls == []


def test_a_fault_before_anything_is_sent_gives_the_lease_back() -> None:
    world = World()
    link = old_link(world)

    class Faulty(FakeLinkStore):
        def base(self, link_id: LinkId) -> Base | None:
            raise ZeroDivisionError(link_id)

    tokens = granted("access-2", refresh="refresh-2").tokens
    world.spool.answers.append(Spooled(link.id, link.version, Asked(), tokens, world.time.timing.now()))
    world.links = Faulty(world.stores.database)

    kept(world, link)[0].run()

    assert (world.client.refresh_calls, world.row(link).lease_owner) == ([], None)
    assert world.metrics.looks == [("idp1", "failed")]


def test_a_lease_that_the_database_could_not_take_back_is_given_back_in_the_next_run() -> None:
    world = World()
    link = old_link(world)

    class Silent(FakeLinkStore):
        silent = True

        def release_lease(self, lease: Lease, failure: Failure | None) -> None:
            if self.silent:
                self.silent = False
                raise StorageUnavailable("The database cannot be used at present.")
            super().release_lease(lease, failure)

    world.links, world.spool = Silent(world.stores.database), NoRoom()
    chore, _ = kept(world, link)

    chore.run()
    assert world.row(link).lease_owner is not None
    chore.run()
    assert world.row(link).lease_owner is None


def test_a_lease_that_waited_for_the_others_is_renewed_before_anything_is_sent() -> None:
    world = World()
    link = old_link(world)
    until: list[timedelta] = []

    class Late(DueOf):
        def take_due(self, provider: Provider, owner: str, limit: int, respect: Respect = NO_RESPECT) -> Sequence[Due]:
            taken = DueOf.take_due(self, provider, owner, limit, respect)
            world.time.now += 21
            world.advance(21)
            return taken

    def look() -> Outcome:
        lease_until = world.row(link).link.lease_until
        assert lease_until is not None
        until.append(lease_until - world.now)
        return granted()

    world.client.refreshes = [look]
    kept(world, link, due=Late)[0].run()
    assert until == [world.provider.rotation.lease]


def test_a_full_spool_sends_nothing() -> None:
    world = World()
    link = old_link(world)
    world.spool.full = True

    kept(world, link)[0].run()

    assert (world.client.refresh_calls, world.row(link).lease_owner) == ([], None)


def test_a_provider_that_is_not_called_at_present_is_not_looked_at() -> None:
    world = World()
    world.gate.shut(world.provider.id)
    chore, due = kept(world, old_link(world))

    assert (chore.run(), due.asked) == (Done(0), [])


def test_as_many_are_taken_as_are_refreshed_side_by_side() -> None:
    world = World()
    links = [world.link(subject=f"a-{number}") for number in range(AT_ONCE + 1)]
    together = threading.Barrier(AT_ONCE)

    def all_at_once() -> Outcome:
        together.wait(10)
        return granted()

    for link in links:
        world.change(link, state=LinkState.SUSPECT)
    world.client.refreshes = [*([all_at_once] * AT_ONCE), granted()]
    chore, _ = kept(world, *links)

    assert [chore.run(), chore.run(), chore.run()] == [Done(AT_ONCE, more=True), Done(1), Done(0)]
    assert world.metrics.looks == [("idp1", "refreshed")] * (AT_ONCE + 1)


@pytest.mark.parametrize(
    "rotation", [Rotation(), GRACE, Rotation(RotationKind.GRACE, timedelta(seconds=3)), Rotation(RotationKind.KEEP_OLD)]
)
def test_the_spool_of_another_machine_is_waited_for_as_by_a_request(rotation: Rotation) -> None:
    chore, due = kept(World(provider(rotation=rotation)))
    chore.run()
    assert due.asked == [("idp1", AT_ONCE, wanted(rotation))]


def test_a_link_that_was_unlinked_meanwhile_is_not_brought_back() -> None:
    world = World()
    link = old_link(world)

    def unlinked_meanwhile() -> Outcome:
        world.links.unlink(ADA, None, link.id, AuditEvent("link.removed", "success"))
        return granted("access-2", refresh="refresh-2")

    world.client.refreshes = [unlinked_meanwhile]
    world.client.revocation = RevocationResult.CONFIRMED

    kept(world, link)[0].run()

    assert world.row(link).link.state is LinkState.REVOKED
    assert world.client.revoked == ["refresh-2"]
    assert world.metrics.looks == [("idp1", "moved")]


def test_leases_carry_the_name_of_the_machine() -> None:
    world = World()
    link = old_link(world)
    owners: list[str | None] = []

    def look() -> Outcome:
        owners.append(world.row(link).lease_owner)
        return granted()

    world.client.refreshes = [look]
    kept(world, link)[0].run()
    assert owners[0] is not None
    assert owners[0].startswith("node-1/")


def test_links_that_would_be_forgotten_are_brought_forward_some_at_a_time() -> None:
    world = World()
    chore = BringForward(world.provider, DueOf(world, [], late=FORWARD_AT_ONCE + 1))
    assert [chore.run() for _ in range(3)] == [Done(FORWARD_AT_ONCE, more=True), Done(1), Done(0)]

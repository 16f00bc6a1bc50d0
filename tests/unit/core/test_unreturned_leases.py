"""A lease that a database took, or kept, without being able to say so delays nobody once it answers again."""

from __future__ import annotations

from datetime import timedelta

from support.core_world import World
from support.fake_provider import granted
from support.fake_spool import FakeSpool
from support.fakes import FakeLinkStore
from tokenstore.core.model import NO_RESPECT, Lease, Link, Respect
from tokenstore.core.ports import Failure
from tokenstore.core.refresh import Refresher
from tokenstore.core.spool import SpoolPlace
from tokenstore.errors import StorageUnavailable, TokenStoreError


class SilentLinks(FakeLinkStore):
    """A store that falls silent now and then: what it is asked to take it takes, but nobody is told."""

    def __init__(self, world: World, *, taking: int = 0, releasing: int = 0) -> None:
        super().__init__(world.stores.database)
        self._taking, self._releasing = taking, releasing
        self.released = 0

    def take_lease(self, link: Link, owner: str, length: timedelta, respect: Respect = NO_RESPECT) -> Lease | None:
        lease = super().take_lease(link, owner, length, respect)
        self._taking -= 1
        if self._taking >= 0:
            raise StorageUnavailable("The database cannot be used at present.")
        return lease

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        self.released += 1
        self._releasing -= 1
        if self._releasing >= 0:
            raise StorageUnavailable("The database cannot be used at present.")
        super().release_lease(lease, failure)


class FullSpool(FakeSpool):
    """A spool that has room from the second time on."""

    def __init__(self) -> None:
        super().__init__()
        self._full = True

    def reserve(self, link: Link) -> SpoolPlace:
        if self._full:
            self._full = False
            raise StorageUnavailable("There is no room.")
        return super().reserve(link)


def expired(world: World) -> Link:
    return world.link(seconds=3600, age=4000)


def ask(world: World, refresher: Refresher, link: Link) -> str:
    try:
        return refresher.bring(world.errand(link)).value.reveal()
    except TokenStoreError as error:
        return error.slug


def test_a_lease_that_was_taken_without_an_answer_is_given_back_before_the_next_try() -> None:
    world = World()
    link = expired(world)
    world.links = SilentLinks(world, taking=1)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    refresher = world.refresher
    assert [ask(world, refresher, link) for _ in range(2)] == ["storage-unavailable", "new"]
    assert world.row(link).link.doubt is None


def test_a_lease_that_could_not_be_given_back_is_given_back_before_the_next_try() -> None:
    world = World()
    link = expired(world)
    world.links, world.spool = SilentLinks(world, releasing=2), FullSpool()
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    refresher = world.refresher
    said = [ask(world, refresher, link) for _ in range(3)]
    assert said == ["storage-unavailable", "storage-unavailable", "new"]


def test_what_is_noted_of_a_lease_holds_no_token() -> None:
    world = World()
    kept: list[Lease] = []

    class Noting(SilentLinks):
        def release_lease(self, lease: Lease, failure: Failure | None) -> None:
            kept.append(lease)
            super().release_lease(lease, failure)

    link = expired(world)
    world.links, world.spool = Noting(world, releasing=1), FullSpool()
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    refresher = world.refresher
    assert [ask(world, refresher, link) for _ in range(2)] == ["storage-unavailable", "new"]
    assert [lease.refresh_token.reveal() for lease in kept] == ["refresh-1", ""]


def test_a_lease_that_has_ended_by_itself_is_not_given_back() -> None:
    world = World()
    link = expired(world)
    world.links = links = SilentLinks(world, taking=1)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    refresher = world.refresher
    assert ask(world, refresher, link) == "storage-unavailable"
    world.time.now += 60
    world.advance(60)
    assert ask(world, refresher, link) == "new"
    assert links.released == 0

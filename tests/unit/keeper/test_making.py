"""Which chores a keeper has, and in which rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from support.core_world import World, provider
from tokenstore.core.asking import Asker
from tokenstore.core.attaching import Attacher
from tokenstore.core.due import Due
from tokenstore.core.model import Provider, ProviderId
from tokenstore.core.places import Places
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.keeper.loop import Routine
from tokenstore.keeper.making import Tools, own_routines, shared_routines
from tokenstore.keeper.refreshing import AT_ONCE, FORWARD_AT_ONCE


class Nothing:
    """The ports `DueLinks` and `Perishables` of a store in which there is nothing to do."""

    def take_due(self, *_: object, **__: object) -> Sequence[Due]:
        return []

    def bring_forward(self, *_: object) -> int:
        return 0

    def reschedule(self, *_: object, **__: object) -> None:
        raise AssertionError("nothing was taken")

    def purge(self, *_: object, **__: object) -> int:
        return 0


def tools(*providers: Provider, rate: int = 10) -> Tools:
    world, registry = World(), Registry(providers)
    stores, revoker = world.stores, Revoker(registry, world.stores.outbox, world.client, Places())
    return Tools(
        registry,
        Nothing(),
        world.refresher,
        world.recovery,
        world.spool,
        world.gate,
        revoker,
        Asker(registry, stores.waiting, revoker, Attacher(stores.links, revoker)),
        stores.outbox,
        Nothing(),
        world.usage,
        world.metrics,
        rate=rate,
        unused=timedelta(days=30),
    )


def named(routines: Sequence[Routine]) -> dict[str, Routine]:
    return {routine.name: routine for routine in routines}


def test_each_provider_that_is_refreshed_has_a_chore_of_its_own() -> None:
    two = provider(id=ProviderId("two"))
    never = provider(id=ProviderId("never"), refreshes=False)
    names = named(shared_routines(tools(provider(), two, never)))
    assert list(names) == ["refresh idp1", "refresh two", "outbox", "waiting", "purge"]


def test_links_that_a_provider_would_forget_are_looked_for() -> None:
    forgetful = provider(refresh_idle=timedelta(days=90))
    never = provider(id=ProviderId("never"), refreshes=False, refresh_idle=timedelta(days=90))
    names = named(shared_routines(tools(forgetful, provider(id=ProviderId("two")), never)))
    assert [name for name in names if name.startswith("idle")] == ["idle idp1"]


def test_no_more_become_due_so_in_a_second_than_are_refreshed() -> None:
    made = named(shared_routines(tools(provider(refresh_idle=timedelta(days=90)), rate=10)))
    assert FORWARD_AT_ONCE / made["idle idp1"].again == pytest.approx(10)


def test_what_a_process_does_for_itself_is_written_down_within_five_seconds() -> None:
    own = named(own_routines(tools()))
    assert list(own) == ["spool", "usage", "measure"]
    assert own["usage"].every * 1.2 < 5  # with its jitter


@pytest.mark.parametrize("rate", [1, 10, 1000])
def test_no_more_links_are_refreshed_in_a_second_than_the_operator_says(rate: int) -> None:
    assert AT_ONCE / named(shared_routines(tools(provider(), rate=rate)))["refresh idp1"].again == pytest.approx(rate)


def test_every_chore_runs_where_there_is_nothing_to_do() -> None:
    made = tools(provider(refresh_idle=timedelta(days=90)))
    for routine in (*own_routines(made), *shared_routines(made)):
        assert routine.chore.run().count == 0

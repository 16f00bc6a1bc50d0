"""Tokens of a provider that is left alone, or has as many refreshes under way as it may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from support.core_world import CALLER, World
from support.fake_provider import granted
from support.waiting import eventually
from tokenstore.core.flight import GROUP_MOST, Flights
from tokenstore.core.model import Granted, LinkId
from tokenstore.core.places import Places
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable, RefreshInProgress, TokenStoreError


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def world(gate: threading.Event) -> Iterator[World]:
    made = World()
    yield made
    gate.set()
    made.flights.close()


def hanging(world: World, gate: threading.Event, links: int) -> list[LinkId]:
    """So many links whose refreshes end when the gate opens, and one more that is expired, too."""

    def answer() -> Granted:
        assert gate.wait(30)
        return granted()

    made = [world.link(subject=f"a-{number}") for number in range(links + 1)]
    world.advance(4000)
    world.client.refreshes = [answer] * (links + 1)
    return [link.id for link in made]


def begin(world: World, links: list[LinkId]) -> None:
    """Have the refresh of each begun, by callers who do not wait."""
    world.wait_seconds = 0
    service = world.tokens
    for link_id in links:
        with pytest.raises(RefreshInProgress):
            service.fresh_token(CALLER, "idp1", link_id=link_id)


def test_a_provider_that_is_left_alone_is_said_to_be_away_and_no_lease_is_taken(world: World) -> None:
    link = world.link(age=4000)
    world.gate.shut(world.provider.id, 7)
    with pytest.raises(ProviderUnavailable) as caught:
        world.tokens.fresh_token(CALLER, "idp1")
    assert caught.value.retry_after == timedelta(seconds=7)
    assert (world.metrics.flights, world.row(link).link.lease_until) == ([], None)


def test_a_provider_that_refuses_this_service_is_said_to(world: World) -> None:
    world.link(age=4000)
    world.gate.shut(world.provider.id, misconfigured=True)
    with pytest.raises(ProviderMisconfigured):
        world.tokens.fresh_token(CALLER, "idp1")


def test_the_present_token_of_a_provider_that_is_left_alone_is_handed_out_while_it_lives(world: World) -> None:
    world.link(age=3570)
    world.gate.shut(world.provider.id)
    assert world.tokens.fresh_token(CALLER, "idp1").token.value.reveal() == "access-1"


@pytest.mark.parametrize("misconfigured", [False, True])
def test_no_refresh_ahead_is_begun_at_a_provider_that_is_left_alone(world: World, *, misconfigured: bool) -> None:
    world.link(age=3400)
    world.gate.shut(world.provider.id, misconfigured=misconfigured)
    assert world.tokens.fresh_token(CALLER, "idp1").cached
    assert world.metrics.flights == []


def test_a_refresh_too_many_at_one_provider_is_put_off_for_a_second(world: World, gate: threading.Event) -> None:
    links = hanging(world, gate, GROUP_MOST)
    begin(world, links[:GROUP_MOST])
    with pytest.raises(RefreshInProgress) as caught:
        world.tokens.fresh_token(CALLER, "idp1", link_id=links[-1])
    assert caught.value.retry_after == timedelta(seconds=1)
    assert world.metrics.refused == ["idp1"]


def test_a_refresh_ahead_too_many_at_one_provider_is_left_out(world: World, gate: threading.Event) -> None:
    links = hanging(world, gate, GROUP_MOST)
    begin(world, links[:GROUP_MOST])
    good = world.link(subject="good", age=3400)
    assert world.tokens.fresh_token(CALLER, "idp1", link_id=good.id).cached


def test_callers_too_many_for_a_slow_provider_are_told_to_ask_again_at_once(
    world: World, gate: threading.Event
) -> None:
    world.flights.close()
    world.flights = Flights(world.metrics, Places(), slow_seconds=0.02)
    world.wait_seconds = 30
    links = hanging(world, gate, 8)
    told: list[TokenStoreError] = []

    def caller(link_id: LinkId) -> None:
        try:
            world.tokens.fresh_token(CALLER, "idp1", link_id=link_id)
        except TokenStoreError as error:
            told.append(error)

    with ThreadPoolExecutor(8) as threads:
        for link_id in links[:8]:
            threads.submit(caller, link_id)
        eventually(lambda: len(told) == Places().most, "half of the callers to be sent away")
        gate.set()
    assert {(type(error), getattr(error, "retry_after", None)) for error in told} == {
        (RefreshInProgress, timedelta(seconds=1))
    }

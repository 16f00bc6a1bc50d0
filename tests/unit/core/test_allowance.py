"""How often callers may have a link refreshed for variants of its token, and how long a refusal is remembered."""

from __future__ import annotations

import weakref
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from support.core_world import World
from tokenstore.core.allowance import AT_MOST, PERIOD_SECONDS, REFUSED_MOST, REFUSED_SECONDS, Allowance
from tokenstore.core.model import Link, LinkId
from tokenstore.errors import RefreshInProgress, ScopeNotGranted

REFUSAL = ScopeNotGranted("Not this one.", provider_id="idp1")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def allowance(clock: Clock) -> Allowance:
    return Allowance(clock)


@pytest.fixture
def link() -> Link:
    return World().link()


def use_up(allowance: Allowance, link: Link) -> None:
    for _ in range(AT_MOST):
        allowance.require(link, "v")
        allowance.spend(link)


def test_one_refresh_too_many_is_told_when_the_next_may_be(allowance: Allowance, clock: Clock, link: Link) -> None:
    use_up(allowance, link)
    clock.now += 10
    with pytest.raises(RefreshInProgress) as caught:
        allowance.require(link, "v")
    assert caught.value.retry_after == timedelta(seconds=PERIOD_SECONDS - 10)


def test_after_the_period_refreshes_are_allowed_again(allowance: Allowance, clock: Clock, link: Link) -> None:
    use_up(allowance, link)
    clock.now += PERIOD_SECONDS
    use_up(allowance, link)


def test_another_link_has_an_allowance_of_its_own(allowance: Allowance, link: Link) -> None:
    use_up(allowance, link)
    allowance.require(replace(link, id=LinkId(UUID(int=1))), "v")


def test_links_that_were_not_refreshed_for_a_while_take_no_memory(
    allowance: Allowance, clock: Clock, link: Link
) -> None:
    link_id = LinkId(UUID(int=1))
    kept = weakref.ref(link_id)
    allowance.spend(replace(link, id=link_id))
    del link_id
    assert kept() is not None
    clock.now += PERIOD_SECONDS
    allowance.spend(link)
    assert kept() is None


def test_a_refused_variant_is_refused_alike_for_a_minute(allowance: Allowance, clock: Clock, link: Link) -> None:
    allowance.refused(link, "v", REFUSAL)
    clock.now += REFUSED_SECONDS - 1
    allowance.require(link, "other")
    with pytest.raises(ScopeNotGranted, match=r"Not this one\."):
        allowance.require(link, "v")
    clock.now += 1
    allowance.require(link, "v")


def test_linking_again_ends_a_remembered_refusal(allowance: Allowance, link: Link) -> None:
    allowance.refused(link, "v", REFUSAL)
    allowance.require(replace(link, version=link.version + 1), "v")


def test_refusals_are_remembered_in_bounded_number(allowance: Allowance, link: Link) -> None:
    for number in range(REFUSED_MOST + 1):
        allowance.refused(link, str(number), REFUSAL)
    allowance.require(link, "0")
    with pytest.raises(ScopeNotGranted):
        allowance.require(link, "1")

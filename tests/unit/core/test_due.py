"""When the keeper looks after a link, and what it decides then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from support.core_world import ADA, World, provider
from tokenstore.core.due import SOONEST, Due, Later, decide, margin, next_due
from tokenstore.core.model import Lease, LinkId, LinkState, Provider
from tokenstore.core.secret import Secret

LINK = LinkId(UUID(int=1))
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTH = 30 * DAY
ENDS_ACCESS = provider(refresh_ends_access=True)
IDLE = provider(refresh_idle=10 * DAY)


@pytest.mark.parametrize(("lifetime", "nominal"), [(86_400, 8_640), (3_600, 360), (600, 60), (300, 60)])
def test_the_margin_is_a_tenth_of_the_lifetime_and_at_least_a_minute_with_a_tenth_of_jitter(
    lifetime: int, nominal: int
) -> None:
    seconds = margin(provider(), LINK, timedelta(seconds=lifetime)).total_seconds()
    assert nominal * 0.9 <= seconds <= nominal * 1.1
    assert margin(provider(), LINK, timedelta(seconds=lifetime)).total_seconds() == seconds


def test_the_margin_of_a_short_lived_token_is_a_quarter_of_its_life() -> None:
    assert margin(provider(), LINK, timedelta(seconds=60)) == timedelta(seconds=15)


def test_the_margin_differs_between_links() -> None:
    assert len({margin(provider(), LinkId(UUID(int=number)), HOUR) for number in range(8)}) > 1


def test_there_is_no_margin_where_a_refresh_ends_earlier_tokens_or_the_end_is_unknown() -> None:
    assert margin(provider(refresh_ends_access=True), LINK, HOUR) == timedelta()
    assert margin(provider(), LINK, None) == timedelta()


def test_a_link_is_due_when_the_margin_of_its_access_token_begins() -> None:
    assert next_due(provider(), LINK, HOUR, None) == HOUR - margin(provider(), LINK, HOUR)


@pytest.mark.parametrize(
    ("at", "refresh_lifetime", "due_in"),
    [
        (provider(), None, None),
        (provider(), 10 * DAY, 8 * DAY),
        (IDLE, None, 8 * DAY),
        (IDLE, 5 * DAY, 4 * DAY),
        (IDLE, 20 * DAY, 8 * DAY),
        (replace(IDLE, refreshes=False), DAY, None),
    ],
    ids=["nothing known", "lifetime", "idle", "shorter lifetime", "longer lifetime", "never refreshed"],
)
def test_where_the_access_token_has_no_known_end_its_refresh_token_decides(
    at: Provider, refresh_lifetime: timedelta | None, due_in: timedelta | None
) -> None:
    assert next_due(at, LINK, None, refresh_lifetime) == due_in


def test_where_a_refresh_ends_access_nothing_is_refreshed_ahead() -> None:
    assert next_due(ENDS_ACCESS, LINK, HOUR, None) is None
    assert next_due(ENDS_ACCESS, LINK, HOUR, 10 * DAY) == 8 * DAY


def test_no_link_is_due_at_once() -> None:
    assert next_due(provider(), LINK, timedelta(), None) == SOONEST


def ago(now: datetime, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns with points in time for what was so long ago."""
    return {name: now - value if isinstance(value, timedelta) else value for name, value in columns.items()}


def due(*, at: Provider | None = None, lifetime: timedelta | None = HOUR, age: timedelta = SECOND, **link: Any) -> Due:
    """A link whose token was issued `age` ago; `link` are columns, times in them ago."""
    world = World(at or provider())
    made = world.link()
    now = world.now
    found = replace(made, **ago(now, {"linked_at": age, **link}))
    issued = now - age
    lease = Lease(found, "node/one", found.version, Secret("refresh-1"), None)
    return Due(lease, ADA, issued, None if lifetime is None else issued + lifetime, now)


def without_token(found: Due) -> Due:
    return replace(found, access_issued_at=None, access_expires_at=None)


def test_a_link_in_use_is_refreshed_inside_the_margin_and_after_the_end() -> None:
    for age in (timedelta(minutes=58), 2 * HOUR):
        assert decide(provider(), due(age=age, last_used_at=DAY), MONTH) is None


def test_a_link_in_use_waits_for_its_margin() -> None:
    found = due(age=timedelta(minutes=10), last_used_at=DAY)
    wait = timedelta(minutes=50) - margin(provider(), found.lease.link.id, HOUR)
    assert decide(provider(), found, MONTH) == Later(wait)


def test_a_link_that_is_used_no_more_is_left_alone() -> None:
    assert decide(provider(), due(age=2 * HOUR, last_used_at=31 * DAY), MONTH) == Later(None)


def test_a_link_that_was_never_used_counts_as_used_when_it_was_made() -> None:
    assert decide(provider(), due(age=2 * HOUR, linked_at=29 * DAY), MONTH) is None
    assert decide(provider(), due(age=2 * HOUR, linked_at=31 * DAY), MONTH) == Later(None)


def test_a_link_in_use_that_lost_its_access_token_gets_one() -> None:
    assert decide(provider(), without_token(due(last_used_at=DAY)), MONTH) is None


def test_an_imported_link_gets_its_first_token_when_it_is_asked_for() -> None:
    assert decide(provider(), without_token(due()), MONTH) == Later(None)


def test_an_access_token_without_an_end_is_not_refreshed() -> None:
    assert decide(provider(), due(lifetime=None, last_used_at=DAY), MONTH) == Later(None)


def test_where_a_refresh_ends_access_an_expired_token_waits_for_somebody_to_ask() -> None:
    assert decide(ENDS_ACCESS, due(at=ENDS_ACCESS, age=2 * HOUR, last_used_at=DAY), MONTH) == Later(None)


def test_a_suspect_link_is_tried_in_any_case() -> None:
    for at in (provider(), ENDS_ACCESS):
        found = due(at=at, linked_at=90 * DAY, last_used_at=90 * DAY, state=LinkState.SUSPECT)
        assert decide(at, found, MONTH) is None


@pytest.mark.parametrize("name", ["last_refresh_at", "linked_at"])
def test_an_unused_link_is_refreshed_before_its_provider_forgets_it(name: str) -> None:
    def unused(age: timedelta) -> Due:
        found = due(at=IDLE, age=age, last_used_at=90 * DAY)
        return replace(found, lease=replace(found.lease, link=replace(found.lease.link, **ago(found.now, {name: age}))))

    assert decide(IDLE, unused(9 * DAY), MONTH) is None
    assert decide(IDLE, unused(5 * DAY), MONTH) == Later(3 * DAY)


def test_a_refresh_token_is_spent_before_its_known_end() -> None:
    now = World().now

    def ending_in(left: timedelta) -> Due:
        return due(last_used_at=90 * DAY, last_refresh_at=9 * DAY, refresh_expires_at=now + left)

    assert decide(provider(), ending_in(DAY), MONTH) is None
    assert decide(provider(), ending_in(11 * DAY), MONTH) == Later(7 * DAY)


def test_what_comes_first_decides_when_to_look_again() -> None:
    found = due(at=IDLE, age=timedelta(minutes=10), last_used_at=HOUR, last_refresh_at=8 * DAY - HOUR)
    soon = decide(IDLE, found, MONTH)
    assert soon is not None
    assert soon.due_in is not None
    assert soon.due_in < HOUR

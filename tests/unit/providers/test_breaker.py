"""The breaker: when it opens, whom it lets through then, and what closes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.providers.breaker import FAILING_SHARE, LEAST_CALLS, PROBE_EVERY, WINDOW, Breaker

NOW = 1000.0


def after(calls: Sequence[bool], *, every: float = 0.0) -> Breaker:
    """The breaker after calls that went well (True) or failed, `every` so many seconds."""
    made, now = Breaker(), NOW
    for good in calls:
        made = made.taken(now, now) if good else made.failed(now, now)
        now += every
    return made


def test_nineteen_failures_in_a_row_leave_it_closed_and_the_twentieth_opens_it() -> None:
    assert not after([False] * 19).open
    assert after([False] * 20).open


def test_half_of_the_calls_failing_opens_it() -> None:
    assert after([True, False] * 10).open


def test_fewer_than_half_failing_leave_it_closed() -> None:
    assert not after([True, True, False] * 100).open


def test_failures_that_are_half_a_minute_old_do_not_count() -> None:
    assert not after([False] * 200, every=1.6).open


def test_a_refusal_of_this_service_opens_it_at_once_and_is_remembered() -> None:
    breaker = Breaker().refused_us(NOW, NOW, "invalid_client")
    assert (breaker.open, breaker.code) == (True, "invalid_client")


def test_open_it_lets_one_probe_through_every_ten_seconds() -> None:
    breaker = after([False] * 20)
    went = []
    for tenths in range(301):
        admitted = breaker.admit(NOW + tenths / 10)
        if admitted is not None:
            breaker = admitted
            went.append(tenths / 10)
    assert went == [10, 20, 30]


def test_open_it_spares_a_revocation_every_ten_seconds_once_nobody_has_wanted_the_probe_for_as_long() -> None:
    breaker = after([False] * 20)
    went = []
    for tenths in range(401):
        spared = breaker.spare(NOW + tenths / 10)
        if spared is not None:
            breaker = spared
            went.append(tenths / 10)
    assert went == [20, 30, 40]
    assert breaker.wait(NOW + 40) is None


def test_waiting_time_is_that_to_the_next_probe() -> None:
    breaker = after([False] * 20)
    assert (breaker.wait(NOW + 4), breaker.wait(NOW + 10)) == (6, None)


def test_linking_waits_where_calls_fail_and_not_where_this_service_is_refused() -> None:
    refused = Breaker().refused_us(NOW, NOW, "invalid_client")
    assert (after([False] * 20).wait(NOW + 4, linking=True), refused.wait(NOW + 4, linking=True)) == (6, None)
    assert (after([False] * 20).admit(NOW, linking=True), refused.admit(NOW, linking=True)) == (None, refused)


def test_linking_is_a_probe_where_calls_fail_and_leaves_it_to_others_where_this_service_is_refused() -> None:
    probe = NOW + PROBE_EVERY
    refused = Breaker().refused_us(NOW, NOW, "invalid_client")
    admitted = after([False] * 20).admit(probe, linking=True)
    assert admitted is not None
    assert admitted.wait(probe) == PROBE_EVERY
    assert refused.admit(probe, linking=True) == refused


def test_closed_it_makes_nobody_wait() -> None:
    assert Breaker().wait(NOW) is None


def test_a_probe_that_is_answered_closes_it_and_what_was_before_is_forgotten() -> None:
    probe = NOW + PROBE_EVERY
    closed = after([False] * 20).taken(probe, probe + 1)
    assert (closed.open, closed.tallies) == (False, ())


def test_a_probe_that_fails_leaves_it_open() -> None:
    probe = NOW + PROBE_EVERY
    assert after([False] * 20).failed(probe, probe + 12).open


def test_an_answer_to_a_call_from_before_it_opened_does_not_close_it() -> None:
    assert after([False] * 20).taken(NOW - 1, NOW + 1).open


def test_failures_of_calls_from_before_it_closed_do_not_count() -> None:
    probe = NOW + PROBE_EVERY
    breaker = after([False] * 20).taken(probe, probe + 1)
    for _ in range(40):
        breaker = breaker.failed(probe, probe + 2)
    assert not breaker.open


def test_a_refused_request_shows_that_the_provider_is_there_again() -> None:
    probe = NOW + PROBE_EVERY
    assert not after([False] * 20).answered(probe, probe).open


def test_a_refused_request_does_not_show_that_the_provider_takes_this_service() -> None:
    probe = NOW + PROBE_EVERY
    assert Breaker().refused_us(NOW, NOW, "invalid_client").answered(probe, probe).open


def test_a_probe_that_is_refused_as_this_service_says_so_from_then_on() -> None:
    probe = NOW + PROBE_EVERY
    assert after([False] * 20).refused_us(probe, probe, "invalid_client").code == "invalid_client"


@dataclass
class Model:
    """What the breaker does, said at length: every call kept, nothing tallied."""

    ended: list[tuple[int, bool]]
    open: bool = False
    since: float = -math.inf

    def tell(self, begun: float, now: float, *, good: bool) -> None:
        if begun < self.since:
            return
        if self.open:
            if good:
                self.ended, self.open, self.since = [], False, now
            return
        self.ended.append((math.floor(now), good))
        lately = [went for at, went in self.ended if at > math.floor(now) - WINDOW]
        failures = lately.count(False)
        if not good and len(lately) >= LEAST_CALLS and failures >= FAILING_SHARE * len(lately):
            self.ended, self.open, self.since = [], True, now


CALLS = st.lists(
    st.tuples(st.floats(0, 3), st.floats(0, 12), st.sampled_from([False, False, True])), min_size=1, max_size=120
)
"""Seconds since the call before ended, how long the call took, and whether it was answered."""


@given(CALLS)
def test_it_is_open_exactly_when_the_calls_of_the_last_half_minute_say_so(
    calls: list[tuple[float, float, bool]],
) -> None:
    breaker, model, now = Breaker(), Model([]), NOW
    for pause, took, good in calls:
        now += pause
        breaker = (breaker.taken if good else breaker.failed)(now - took, now)
        model.tell(now - took, now, good=good)
        assert breaker.open == model.open


@given(CALLS)
def test_open_it_never_lets_two_calls_through_within_ten_seconds(calls: list[tuple[float, float, bool]]) -> None:
    breaker, now, last = Breaker(), NOW, -math.inf
    for pause, _, good in calls:
        now += pause
        admitted = breaker.admit(now)
        assert (admitted is None) == (breaker.wait(now) is not None)
        if admitted is None:
            continue
        if breaker.open:
            assert now - last >= PROBE_EVERY
            last = now
        breaker = (admitted.taken if good else admitted.failed)(now, now)


@given(CALLS)
def test_it_keeps_no_more_than_a_tally_a_second(calls: list[tuple[float, float, bool]]) -> None:
    breaker, now = Breaker(), NOW
    for pause, _, good in calls:
        now += pause
        breaker = (breaker.taken if good else breaker.failed)(now, now)
        assert len(breaker.tallies) <= WINDOW


@pytest.mark.parametrize("good", [True, False])
def test_answers_of_many_calls_in_one_second_are_one_tally(*, good: bool) -> None:
    assert len(after([good] * 10).tallies) == 1

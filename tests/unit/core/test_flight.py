"""Single flight: one piece of work per key, waiting counted from its start, nothing left hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from support.tallies import Tallies
from support.waiting import eventually
from tokenstore.core.flight import ALL_MOST, GROUP_MOST, Flight, Flights, Full, StillFlying
from tokenstore.core.places import Places

PLACES = Places().most


class Boom(BaseException):
    """Something that no `except Exception` catches."""


@pytest.fixture
def flights() -> Iterator[Flights[str, int]]:
    made: Flights[str, int] = Flights(Tallies(), Places())
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def waiting(gate: threading.Event, value: int = 1) -> Callable[[], int]:
    """Work that ends when the gate opens."""

    def work() -> int:
        assert gate.wait(30)
        return value

    return work


def join(
    flights: Flights[str, int], key: str, work: Callable[[], int], variant: str = "", group: str = "idp1"
) -> Flight[int]:
    """A flight of a link at one provider."""
    return flights.join(key, work, variant, group)


def test_fifty_threads_that_want_one_key_get_the_result_of_one_work(
    flights: Flights[str, int], gate: threading.Event
) -> None:
    done: list[int] = []
    everybody = threading.Barrier(51)

    def work() -> int:
        assert gate.wait(30)
        done.append(1)
        return len(done)

    def caller() -> int:
        flight = join(flights, "link", work)
        everybody.wait(30)
        return flight.future.result(30)

    with ThreadPoolExecutor(50) as threads:
        answers = [threads.submit(caller) for _ in range(50)]
        everybody.wait(30)
        gate.set()
        assert [answer.result(30) for answer in answers] == [1] * 50


def test_different_keys_fly_side_by_side(flights: Flights[str, int], gate: threading.Event) -> None:
    slow = join(flights, "a", waiting(gate))
    assert join(flights, "b", lambda: 2).future.result(30) == 2
    gate.set()
    assert slow.future.result(30) == 1


def test_a_key_flies_again_once_its_flight_has_landed(flights: Flights[str, int]) -> None:
    assert join(flights, "a", lambda: 1).future.result(30) == 1
    assert join(flights, "a", lambda: 2).future.result(30) == 2


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("x"), SystemExit(1), Boom()], ids=repr)
def test_whatever_the_work_raises_reaches_everybody_who_waits(
    flights: Flights[str, int], gate: threading.Event, error: BaseException
) -> None:
    def work() -> int:
        assert gate.wait(30)
        raise error

    joined = [join(flights, "a", work) for _ in range(3)]
    gate.set()
    for flight in joined:
        with pytest.raises(type(error)) as caught:
            flights.result(flight, 30)
        assert caught.value is error


def test_a_failed_flight_is_forgotten(flights: Flights[str, int]) -> None:
    def fail() -> int:
        raise Boom

    with pytest.raises(Boom):
        join(flights, "a", fail).future.result(30)
    assert join(flights, "a", lambda: 2).future.result(30) == 2


def test_waiting_ends_while_the_work_goes_on(flights: Flights[str, int], gate: threading.Event) -> None:
    flight = join(flights, "a", waiting(gate))
    with pytest.raises(StillFlying):
        flights.result(flight, 0.01)
    gate.set()
    assert flights.result(flight, 30) == 1


def test_a_later_caller_does_not_wait_anew(flights: Flights[str, int], gate: threading.Event) -> None:
    flight = join(flights, "a", waiting(gate))
    for _ in range(2):
        with pytest.raises(StillFlying):
            flights.result(flight, 0.5)
    assert time.monotonic() - flight.started < 0.9


def test_a_joined_flight_tells_the_errand_it_was_begun_for(flights: Flights[str, int], gate: threading.Event) -> None:
    join(flights, "a", waiting(gate), "first")
    assert join(flights, "a", waiting(gate), "second").variant == "first"


def test_closing_waits_for_the_flights_under_way(gate: threading.Event) -> None:
    flights: Flights[str, int] = Flights(Tallies(), Places())
    first, queued = join(flights, "a", waiting(gate, 1)), join(flights, "b", waiting(gate, 2))
    closing = threading.Thread(target=flights.close)
    closing.start()
    gate.set()
    closing.join(30)
    assert (first.future.done(), queued.future.done()) == (True, True)


def test_nothing_is_begun_after_closing_and_nothing_is_left_hanging() -> None:
    flights: Flights[str, int] = Flights(Tallies(), Places())
    flights.close()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            join(flights, "a", lambda: 1)


def fill(flights: Flights[str, int], gate: threading.Event, group: str, count: int) -> None:
    """So many flights of a group under way."""
    for number in range(count):
        join(flights, f"{group}-{number}", waiting(gate), group=group)


def test_a_flight_too_many_of_a_group_is_refused_at_once_and_others_fly(
    flights: Flights[str, int], gate: threading.Event
) -> None:
    fill(flights, gate, "idp1", GROUP_MOST)
    with pytest.raises(Full):
        join(flights, "one-more", lambda: 1)
    assert join(flights, "another", lambda: 2, group="idp2").future.result(30) == 2


def test_a_flight_too_many_in_all_is_refused_at_once(flights: Flights[str, int], gate: threading.Event) -> None:
    for group in range(ALL_MOST // GROUP_MOST):
        fill(flights, gate, f"idp{group}", GROUP_MOST)
    with pytest.raises(Full):
        join(flights, "one-more", lambda: 1, group="another")


def test_a_full_group_still_lets_callers_join_its_flights(flights: Flights[str, int], gate: threading.Event) -> None:
    fill(flights, gate, "idp1", GROUP_MOST)
    joined = join(flights, "idp1-7", lambda: 2)
    gate.set()
    assert flights.result(joined, 30) == 1


def test_there_is_room_again_once_flights_have_landed(flights: Flights[str, int], gate: threading.Event) -> None:
    fill(flights, gate, "idp1", GROUP_MOST - 1)
    last = join(flights, "last", waiting(gate))
    gate.set()
    last.future.result(30)
    assert join(flights, "one-more", lambda: 2).future.result(30) == 2


class Parked:
    """Callers who wait for flights, each in a thread, with what became of them."""

    def __init__(self, flights: Flights[str, int], tallies: Tallies, threads: ThreadPoolExecutor) -> None:
        self._flights = flights
        self._tallies = tallies
        self._threads = threads
        self.answers: list[Future[int | None]] = []

    def add(self, flight: Flight[int], count: int) -> None:
        """So many callers more, all of them waiting, or sent away already."""
        self.answers += [self._threads.submit(self._wait, flight) for _ in range(count)]
        eventually(lambda: self.parked + len(self.sent_away) == len(self.answers), "callers")

    @property
    def parked(self) -> int:
        """How many wait."""
        return self._tallies.callers[-1][1] if self._tallies.callers else 0

    @property
    def sent_away(self) -> list[Future[int | None]]:
        """Who was told that the work goes on."""
        return [answer for answer in self.answers if answer.done() and answer.result() is None]

    def _wait(self, flight: Flight[int]) -> int | None:
        try:
            return self._flights.result(flight, 30)
        except StillFlying:
            return None


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def test_a_slow_group_keeps_few_callers_waiting_and_sends_the_others_away_at_once(
    gate: threading.Event, threads: ThreadPoolExecutor
) -> None:
    tallies = Tallies()
    flights: Flights[str, int] = Flights(tallies, Places(), slow_seconds=0.02)
    callers = Parked(flights, tallies, threads)
    old, young = join(flights, "old", waiting(gate)), join(flights, "young", waiting(gate))
    eventually(lambda: time.monotonic() > young.started + 0.02, "the flights to be slow")
    callers.add(old, PLACES)
    callers.add(young, 5)
    eventually(lambda: len(callers.sent_away) == 5, "the others to be sent away")
    assert callers.parked == PLACES
    gate.set()
    assert [answer.result(30) for answer in callers.answers[:PLACES]] == [1] * PLACES
    flights.close()


def test_when_a_group_gets_slow_those_who_wait_too_many_are_sent_away(
    gate: threading.Event, threads: ThreadPoolExecutor
) -> None:
    tallies = Tallies()
    flights: Flights[str, int] = Flights(tallies, Places(), slow_seconds=0.5)
    callers = Parked(flights, tallies, threads)
    callers.add(join(flights, "a", waiting(gate)), 10)
    eventually(lambda: len(callers.sent_away) == 10 - PLACES, "the others to be sent away")
    gate.set()
    assert sorted(answer.result(30) or 0 for answer in callers.answers) == [0] * 6 + [1] * PLACES
    flights.close()


def test_another_group_is_waited_for_while_one_is_slow(gate: threading.Event, threads: ThreadPoolExecutor) -> None:
    tallies = Tallies()
    flights: Flights[str, int] = Flights(tallies, Places(), slow_seconds=0.02)
    Parked(flights, tallies, threads).add(join(flights, "a", waiting(gate)), 10)
    other = join(flights, "b", waiting(gate, 2), group="idp2")
    callers = threads.submit(flights.result, other, 30)
    gate.set()
    assert callers.result(30) == 2
    flights.close()


def test_groups_that_are_slow_together_leave_threads_to_the_others(
    gate: threading.Event, threads: ThreadPoolExecutor
) -> None:
    flights: Flights[str, int] = Flights(Tallies(), Places(), slow_seconds=0.3)
    hanging = [join(flights, group, waiting(gate), group=group) for group in ("idp1", "idp2")]
    answers = [threads.submit(flights.result, flight, 30) for flight in hanging for _ in range(4)]
    eventually(lambda: sum(answer.done() for answer in answers) == 2, "two callers to be sent away")
    quick = threading.Event()
    flight = join(flights, "quick", waiting(quick, 2), group="idp3")
    quick.set()
    assert flights.result(flight, 30) == 2
    gate.set()
    assert sorted(isinstance(answer.exception(30), StillFlying) for answer in answers) == [False] * 6 + [True] * 2
    flights.close()


def test_callers_leave_a_slow_group_as_others_take_places_there(
    gate: threading.Event, threads: ThreadPoolExecutor
) -> None:
    tallies, places = Tallies(), Places()
    flights: Flights[str, int] = Flights(tallies, places, slow_seconds=0.02)
    callers = Parked(flights, tallies, threads)

    def visit() -> None:
        with places.enter("idp1"):
            assert gate.wait(30)

    callers.add(join(flights, "a", waiting(gate)), PLACES)
    visits = [threads.submit(visit) for _ in range(2)]
    eventually(lambda: len(callers.sent_away) == len(visits), "as many to be sent away")
    gate.set()
    assert sorted(answer.result(30) or 0 for answer in callers.answers) == [0, 0, 1, 1]
    flights.close()


def test_what_is_under_way_waited_for_and_refused_is_told(gate: threading.Event) -> None:
    tallies = Tallies()
    flights: Flights[str, int] = Flights(tallies, Places())
    fill(flights, gate, "idp1", GROUP_MOST)
    with pytest.raises(Full):
        join(flights, "one-more", lambda: 1)
    with pytest.raises(StillFlying):
        flights.result(join(flights, "idp1-0", lambda: 1), 0)
    gate.set()
    flights.close()
    assert max(tallies.flights) == ("idp1", GROUP_MOST)
    assert tallies.flights[-1] == ("idp1", 0)
    assert tallies.callers == [("idp1", 1), ("idp1", 0)]
    assert tallies.refused == ["idp1"]

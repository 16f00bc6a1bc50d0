"""Single flight: one piece of work per key, waiting counted from its start, nothing left hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tokenstore.core.flight import Flight, Flights, StillFlying


class Boom(BaseException):
    """Something that no `except Exception` catches."""


@pytest.fixture
def flights() -> Iterator[Flights[str, int]]:
    made: Flights[str, int] = Flights(4)
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
        flight = flights.join("link", work)
        everybody.wait(30)
        return flight.result(30)

    with ThreadPoolExecutor(50) as threads:
        answers = [threads.submit(caller) for _ in range(50)]
        everybody.wait(30)
        gate.set()
        assert [answer.result(30) for answer in answers] == [1] * 50


def test_different_keys_fly_side_by_side(flights: Flights[str, int], gate: threading.Event) -> None:
    slow = flights.join("a", waiting(gate))
    assert flights.join("b", lambda: 2).result(30) == 2
    gate.set()
    assert slow.result(30) == 1


def test_a_key_flies_again_once_its_flight_has_landed(flights: Flights[str, int]) -> None:
    assert flights.join("a", lambda: 1).result(30) == 1
    assert flights.join("a", lambda: 2).result(30) == 2


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("x"), SystemExit(1), Boom()], ids=repr)
def test_whatever_the_work_raises_reaches_everybody_who_waits(
    flights: Flights[str, int], gate: threading.Event, error: BaseException
) -> None:
    def work() -> int:
        assert gate.wait(30)
        raise error

    joined = [flights.join("a", work) for _ in range(3)]
    gate.set()
    for flight in joined:
        with pytest.raises(type(error)) as caught:
            flight.result(30)
        assert caught.value is error


def test_a_failed_flight_is_forgotten(flights: Flights[str, int]) -> None:
    def fail() -> int:
        raise Boom

    with pytest.raises(Boom):
        flights.join("a", fail).result(30)
    assert flights.join("a", lambda: 2).result(30) == 2


def test_waiting_ends_while_the_work_goes_on(flights: Flights[str, int], gate: threading.Event) -> None:
    flight = flights.join("a", waiting(gate))
    with pytest.raises(StillFlying):
        flight.result(0.01)
    gate.set()
    assert flight.result(30) == 1


def test_a_later_caller_does_not_wait_anew() -> None:
    long_under_way: Flight[int] = Flight(time.monotonic() - 60, None, Future())
    arrived = time.monotonic()
    with pytest.raises(StillFlying):
        long_under_way.result(30)
    assert time.monotonic() - arrived < 10


def test_a_joined_flight_tells_the_errand_it_was_begun_for(flights: Flights[str, int], gate: threading.Event) -> None:
    flights.join("a", waiting(gate), "first")
    assert flights.join("a", waiting(gate), "second").variant == "first"


def test_closing_waits_for_the_flights_under_way(gate: threading.Event) -> None:
    flights: Flights[str, int] = Flights(1)
    first, queued = flights.join("a", waiting(gate, 1)), flights.join("b", waiting(gate, 2))
    closing = threading.Thread(target=flights.close)
    closing.start()
    gate.set()
    closing.join(30)
    assert (first.future.done(), queued.future.done()) == (True, True)


def test_nothing_is_begun_after_closing_and_nothing_is_left_hanging() -> None:
    flights: Flights[str, int] = Flights(1)
    flights.close()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            flights.join("a", lambda: 1)

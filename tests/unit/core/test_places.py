"""Places at providers: half of the threads for one, three quarters for all, and when one is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from support.core_world import provider
from support.waiting import eventually
from tokenstore.core.model import ProviderId
from tokenstore.core.places import Places
from tokenstore.errors import ProviderBusy

ONE = provider(id=ProviderId("idp1"))


class Crowd:
    """Threads that have places until they are let go."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._pool = ThreadPoolExecutor(20)
        self._gone: dict[str, threading.Event] = {}

    def take(self, group: str, count: int = 1) -> list[Future[bool]]:
        """So many threads that take a place of the group if there is one now."""
        inside, go = threading.Semaphore(0), self._gone.setdefault(group, threading.Event())
        told = [self._pool.submit(self._stay, group, inside, go) for _ in range(count)]
        assert all(inside.acquire(timeout=30) for _ in told)
        return told

    def arrive(self) -> Future[bool]:
        """One who waits for a place of `ONE` if need be: whether there was one."""
        return self._pool.submit(self._arrive)

    def leave(self, group: str) -> None:
        """All who have places of the group go."""
        self._gone[group].set()

    def close(self) -> None:
        for group in self._gone:
            self.leave(group)
        self._pool.shutdown()

    def _stay(self, group: str, inside: threading.Semaphore, go: threading.Event) -> bool:
        with self._places.enter(group) as admitted:
            inside.release()
            return admitted and go.wait(30)

    def _arrive(self) -> bool:
        try:
            with self._places.at(ONE):
                return True
        except ProviderBusy:
            return False


@contextmanager
def crowd(places: Places) -> Iterator[Crowd]:
    made = Crowd(places)
    try:
        yield made
    finally:
        made.close()


def admitted(places: Places, group: str) -> bool:
    with places.enter(group) as inside:
        return inside


@pytest.mark.parametrize(("threads", "most", "in_all"), [(1, 1, 1), (2, 1, 1), (4, 2, 3), (8, 4, 6), (64, 32, 48)])
def test_half_of_the_threads_are_for_one_provider_and_three_quarters_for_all(
    threads: int, most: int, in_all: int
) -> None:
    places = Places(threads)
    assert (places.left("idp1"), places.left()) == (most, in_all)


def test_a_provider_whose_places_are_taken_leaves_those_of_others() -> None:
    places = Places(8)
    with crowd(places) as others:
        others.take("idp1", 4)
        assert (places.left("idp1"), places.left("idp2"), places.left()) == (0, 4, 2)
        assert (admitted(places, "idp1"), admitted(places, "idp2")) == (False, True)


def test_all_providers_together_leave_a_quarter_of_the_threads() -> None:
    places = Places(8)
    with crowd(places) as others:
        others.take("idp1", 4)
        others.take("idp2", 2)
        assert [admitted(places, group) for group in ("idp1", "idp2", "idp3")] == [False] * 3


def test_a_place_is_free_again_whatever_happens_there() -> None:
    places = Places(2)
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), places.at(ONE):
            raise ValueError("x")
    assert (places.left("idp1"), places.left()) == (1, 1)


def test_who_has_a_place_needs_no_second_one() -> None:
    places = Places(2)
    with places.at(ONE):
        assert admitted(places, "idp1")
        assert places.left("idp1") == 0


def test_a_crowd_at_a_provider_that_answers_is_let_in() -> None:
    places = Places(8, slow_seconds=30)
    with crowd(places) as others:
        others.take("idp1", 4)
        late = others.arrive()
        time.sleep(0.05)
        assert not late.done()
        others.leave("idp1")
        assert late.result(30)


def test_who_comes_to_a_slow_provider_is_told_at_once_to_come_again() -> None:
    places = Places(8, slow_seconds=0)
    with crowd(places) as others:
        others.take("idp1", 4)
        with pytest.raises(ProviderBusy, match="Nothing is lost: load this page again"), places.at(ONE):
            pass


def test_who_waits_for_a_place_is_told_to_come_again_once_the_provider_is_slow() -> None:
    with crowd(Places(8, slow_seconds=0.2)) as others:
        others.take("idp1", 4)
        assert not others.arrive().result(30)


def test_nobody_waits_where_others_are_slow_and_together_take_all_places() -> None:
    places = Places(8, slow_seconds=0)
    with crowd(places) as others:
        others.take("idp2", 4)
        others.take("idp3", 2)
        assert not others.arrive().result(30)


def test_a_place_that_is_about_to_be_free_is_waited_for_although_another_provider_hangs() -> None:
    with crowd(Places(8, slow_seconds=0.4)) as others:
        others.take("idp2", 4)
        time.sleep(0.5)
        others.take("idp1", 2)
        late = others.arrive()
        time.sleep(0.05)
        assert not late.done()
        others.leave("idp1")
        assert late.result(30)


def test_a_place_is_waited_for_no_longer_once_all_that_are_taken_are_slow() -> None:
    with crowd(Places(8, slow_seconds=0.3)) as others:
        others.take("idp2", 4)
        time.sleep(0.15)
        others.take("idp1", 2)
        begun = time.monotonic()
        assert not others.arrive().result(30)
        assert time.monotonic() - begun > 0.2


@pytest.mark.parametrize(("other", "blamed"), [("idp1", "from the provider idp1"), ("idp2", "from providers")])
def test_who_has_to_come_again_is_told_whose_answers_are_slow(other: str, blamed: str) -> None:
    places = Places(8, slow_seconds=0)
    with crowd(places) as others:
        others.take(other, 4)
        others.take("idp3", 2)
        with pytest.raises(ProviderBusy, match=f"slowly {blamed} at present"), places.at(ONE):
            pass


def test_who_waits_for_a_place_leaves_one_thread_to_those_who_need_none() -> None:
    places = Places(8, slow_seconds=30)
    with crowd(places) as others:
        others.take("idp1", 4)
        arrived = [others.arrive() for _ in range(4)]
        eventually(lambda: sum(one.done() for one in arrived) == 1, "one of them to be sent away")
        others.leave("idp1")
        assert sorted(one.result(30) for one in arrived) == [False, True, True, True]


def test_who_waits_for_a_place_gives_way_to_another_provider() -> None:
    places = Places(8, slow_seconds=30)
    with crowd(places) as others:
        others.take("idp1", 4)
        waiting = [others.arrive() for _ in range(3)]
        eventually(lambda: places.left() == 0, "them to wait")
        others.take("idp2")
        eventually(lambda: sum(one.done() for one in waiting) == 1, "one of them to be sent away")
        others.leave("idp1")
        assert sorted(one.result(30) for one in waiting) == [False, True, True]


def test_more_come_in_only_as_others_go() -> None:
    places = Places(8, slow_seconds=30)
    inside, most = [0], [0]
    lock = threading.Lock()

    def visit() -> None:
        with places.at(ONE):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(6) as pool:
        visits = [pool.submit(visit) for _ in range(40)]
        eventually(lambda: all(one.done() for one in visits), "everybody to be let in")
    assert all(one.exception() is None for one in visits)
    assert most == [4]

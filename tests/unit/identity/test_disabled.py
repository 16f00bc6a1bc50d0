"""Who is disabled is true within a second, and asked for rarely."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.waiting import eventually
from tokenstore.core.model import Identity
from tokenstore.errors import StorageUnavailable
from tokenstore.identity.disabled import READ_EVERY, DisabledUsers

ADA = Identity("https://login.example", "ada")


class Scene:
    """A list of disabled users that counts its readings, and a clock."""

    def __init__(self) -> None:
        self.seconds, self.readings, self.disabled = 100.0, 0, frozenset[Identity]()
        self.outage, self.slow, self.go_on, self.asked = False, False, threading.Event(), 0
        self.users = DisabledUsers(self.load, monotonic=self.now)

    def now(self) -> float:
        self.asked += 1
        return self.seconds

    def load(self) -> frozenset[Identity]:
        self.readings += 1
        if self.slow:
            self.go_on.wait(10)
        if self.outage:
            raise StorageUnavailable("The database does not answer.")
        return self.disabled

    def ask(self) -> str:
        try:
            return "disabled" if ADA in self.users else "not disabled"
        except StorageUnavailable:
            return "failed"


def test_a_change_is_seen_within_a_second() -> None:
    scene = Scene()
    assert ADA not in scene.users
    scene.disabled = frozenset({ADA})
    scene.seconds += 1
    assert ADA in scene.users


def test_many_questions_make_one_reading() -> None:
    scene = Scene()
    assert not any(ADA in scene.users for _ in range(1000))
    assert scene.readings == 1
    scene.seconds += READ_EVERY
    assert ADA not in scene.users
    assert scene.readings == 2


def test_a_failed_reading_is_told_to_all_who_ask_soon_after() -> None:
    scene = Scene()
    scene.outage = True
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            _ = ADA in scene.users
    assert scene.readings == 1
    scene.outage = False
    scene.seconds += READ_EVERY
    assert ADA not in scene.users


@pytest.mark.parametrize("outage", [False, True])
def test_who_waits_for_a_slow_reading_takes_what_came_of_it(outage: bool) -> None:
    scene = Scene()
    scene.outage, scene.slow = outage, True
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(scene.ask) for _ in range(8)]
        eventually(lambda: scene.asked >= 9, "eight that ask, one of them twice")
        # Far longer than a reading counts.
        scene.seconds += 10
        scene.go_on.set()
        answers = {one.result() for one in asked}
    assert (answers, scene.readings) == ({"failed" if outage else "not disabled"}, 1)

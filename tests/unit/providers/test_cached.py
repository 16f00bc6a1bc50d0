from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers.cached import Cached, Freshness

FRESHNESS = Freshness(ttl=100, stale=1000, pause=5)


class Source:
    """Counts its loads; each fails while `error` is set and waits while `gate` is closed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loads = 0
        self.error: ProviderUnavailable | ProviderMisconfigured | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.loaded = threading.Condition()
        self.cached = Cached(self.load, FRESHNESS, clock=lambda: self.now)

    def load(self) -> int:
        if not self.gate.is_set():
            self.begun.set()
        assert self.gate.wait(10)
        with self.loaded:
            self.loads += 1
            self.loaded.notify_all()
            if self.error is not None:
                raise self.error
            return self.loads

    def await_loads(self, number: int) -> None:
        with self.loaded:
            assert self.loaded.wait_for(lambda: self.loads >= number, 10)


def eventually(source: Source, value: int) -> bool:
    """The reloading thread stores its value just after the load; get() shows it at once or a moment later."""
    tick = threading.Event()
    return any(source.cached.get() == value or tick.wait(0.01) for _ in range(500))


def test_a_value_is_loaded_once_while_it_is_fresh() -> None:
    source = Source()
    assert source.cached.get() == 1
    source.now = 99
    assert source.cached.get() == 1
    assert source.loads == 1


def test_an_older_value_is_served_while_it_is_reloaded_aside() -> None:
    source = Source()
    source.cached.get()
    source.now = 101
    source.gate.clear()
    assert [source.cached.get() for _ in range(5)] == [1] * 5
    source.gate.set()
    source.await_loads(2)
    assert eventually(source, 2)
    assert source.loads == 2


def test_an_older_value_is_served_on_while_it_cannot_be_reloaded() -> None:
    source = Source()
    source.cached.get()
    source.error = ProviderUnavailable("down")
    source.now = 999
    assert source.cached.get() == 1
    source.await_loads(2)
    assert source.cached.get() == 1


def test_a_value_past_its_last_day_is_not_served() -> None:
    source = Source()
    source.cached.get()
    source.error = ProviderUnavailable("down")
    source.now = 1001
    with pytest.raises(ProviderUnavailable):
        source.cached.get()


@pytest.mark.parametrize("error", [ProviderUnavailable("down", debug="why"), ProviderMisconfigured("bad", debug="why")])
def test_a_failed_first_load_is_not_repeated_before_the_pause_is_over(
    error: ProviderUnavailable | ProviderMisconfigured,
) -> None:
    source = Source()
    source.error = error
    for _ in range(3):
        with pytest.raises(type(error), match=error.detail):
            source.cached.get()
    assert source.loads == 1
    source.now, source.error = 5, None
    assert source.cached.get() == 2


def test_many_first_callers_make_one_load() -> None:
    source = Source()
    source.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        values = [pool.submit(source.cached.get) for _ in range(20)]
        source.gate.set()
        assert {value.result(10) for value in values} == {1}
    assert source.loads == 1


def test_many_callers_of_a_provider_that_is_down_make_one_load() -> None:
    source = Source()
    source.error = ProviderUnavailable("down")
    source.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        values = [pool.submit(source.cached.get) for _ in range(20)]
        source.gate.set()
        assert all(isinstance(value.exception(10), ProviderUnavailable) for value in values)
    assert source.loads == 1


def test_a_newer_value_is_fetched_only_if_the_kept_one_is_old_enough() -> None:
    source = Source()
    assert source.cached.newer_than(30) == 1
    source.now = 29
    assert source.cached.newer_than(30) == 1
    source.now = 30
    assert source.cached.newer_than(30) == 2


def test_the_kept_value_is_given_when_a_newer_one_cannot_be_had() -> None:
    source = Source()
    source.cached.get()
    source.now, source.error = 30, ProviderUnavailable("down")
    assert source.cached.newer_than(30) == 1
    assert source.cached.newer_than(30) == 1
    assert source.loads == 2


def test_only_one_of_many_who_want_something_newer_waits_for_the_load() -> None:
    source = Source()
    assert source.cached.get() == 1
    source.now = 50
    source.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.cached.newer_than, 10)
        try:
            assert source.begun.wait(10)
            assert [source.cached.newer_than(10) for _ in range(5)] == [1] * 5
        finally:
            source.gate.set()
        assert waiting.result(10) == 2

"""Single flight: one piece of work per key in this process, however many callers want its result; bounded by group.

A group is what may be slow together: a provider. So many flights of a group and no more; and where they are slow, so
many callers wait for them and no more, of one group and of all slow ones, so that the others' threads stay free.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tokenstore.core.metrics import Metrics
from tokenstore.core.places import SLOW_SECONDS, Places

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

GROUP_MOST = 20
"""Flights of one group at once, as many as a provider's pool has connections."""

ALL_MOST = 100
"""Flights at once in a process."""


class StillFlying(Exception):
    """The waiting time is over and the work goes on. No TimeoutError, which the work itself may raise."""


class Full(Exception):
    """No more flights are taken at present."""


@dataclass(frozen=True, slots=True)
class Flight(Generic[T]):
    """Work under way. `started` is on the monotonic clock, in seconds; `variant`: for what of the key it was begun."""

    started: float
    variant: Hashable
    group: str
    future: Future[T]


@dataclass(slots=True)
class _Group(Generic[K, T]):
    """The flights of a group, the oldest first, and how many callers wait for them."""

    flights: dict[K, Flight[T]] = field(default_factory=dict)
    parked: int = 0

    def oldest(self) -> float:
        """When the oldest flight was begun; far in the future if there is none."""
        oldest = next(iter(self.flights.values()), None)
        return math.inf if oldest is None else oldest.started


class Flights(Generic[K, T]):
    """Runs work in threads of its own, so that no caller's leaving ends it; an orderly exit waits for it.

    places: how many may wait for one slow group, and for all; less those who have a place there themselves.
    slow_seconds: age of a flight that makes its group slow.
    """

    def __init__(self, metrics: Metrics, places: Places, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._metrics = metrics
        self._places = places
        self._slow_seconds = slow_seconds
        self._lock = threading.Lock()
        self._running = 0
        self._groups: dict[str, _Group[K, T]] = {}
        self._pool = ThreadPoolExecutor(max_workers=ALL_MOST, thread_name_prefix="flight")

    def join(self, key: K, work: Callable[[], T], variant: Hashable, group: str) -> Flight[T]:
        """The flight of this key: the running one, whatever its variant, or a new one that does `work`.

        Raises Full where there are as many as there may be, of the group (a provider's id) or in all: nothing queues.
        Raises RuntimeError if no work can be started: after `close`, or when the system gives no thread.
        """
        with self._lock:
            flights = self._group(group).flights
            running = flights.get(key)
            if running is not None:
                return running
            if len(flights) >= GROUP_MOST or self._running >= ALL_MOST:
                self._metrics.turned_away(group)
                raise Full
            flight: Flight[T] = Flight(time.monotonic(), variant, group, Future())
            # Under the lock, so that nobody joins a flight that could not be started.
            self._pool.submit(self._run, key, flight, work)
            flights[key] = flight
            self._running += 1
            self._metrics.flying(group, len(flights))
            return flight

    def result(self, flight: Flight[T], wait_seconds: float) -> T:
        """The result, waiting until `wait_seconds` after the flight began, not after the caller arrived.

        Raises what the work raised, and StillFlying when the time is over, or the group slow and too many wait.
        """
        ends = flight.started + wait_seconds
        parked = self._park(flight.group, 1)
        try:
            while not flight.future.done():
                patience = self._patience(flight.group)
                if patience is None:
                    parked = 0
                    raise StillFlying
                until = min(ends, patience)
                if not wait([flight.future], max(0.0, until - time.monotonic())).done and until == ends:
                    raise StillFlying
        finally:
            self._park(flight.group, -parked)
        return flight.future.result()

    def _patience(self, group: str) -> float | None:
        """Until when whoever is parked on the group may wait before asking again. None: not at all, nor parked."""
        with self._lock:
            found, now = self._group(group), time.monotonic()
            slow_at = found.oldest() + self._slow_seconds
            if now < slow_at:
                return slow_at
            slow = {name: each for name, each in self._groups.items() if each.oldest() + self._slow_seconds <= now}
            # Whoever is too many for one group is about to leave, and takes no place of another's.
            in_all = sum(min(each.parked, self._places.left(name)) for name, each in slow.items())
            if found.parked > self._places.left(group) or in_all > self._places.left():
                self._count(group, found, -1)  # under the same lock, so that no more leave than have to
                return None
            return now + self._slow_seconds  # by then somebody may have taken a place

    def _park(self, group: str, callers: int) -> int:
        if callers:
            with self._lock:
                self._count(group, self._group(group), callers)
        return callers

    def _count(self, group: str, found: _Group[K, T], callers: int) -> None:
        found.parked += callers
        self._metrics.parked(group, found.parked)

    def _group(self, group: str) -> _Group[K, T]:
        return self._groups.setdefault(group, _Group())

    def _run(self, key: K, flight: Flight[T], work: Callable[[], T]) -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001  (whatever it is, it belongs to those who wait)
            self._land(key, flight)
            flight.future.set_exception(error)
        else:
            self._land(key, flight)
            flight.future.set_result(value)

    def _land(self, key: K, flight: Flight[T]) -> None:
        with self._lock:
            flights = self._group(flight.group).flights
            # Where the system gave no thread the work may still be done by another one, as nobody's flight.
            if flights.get(key) is not flight:
                return
            del flights[key]
            self._running -= 1
            self._metrics.flying(flight.group, len(flights))

    def close(self) -> None:
        """Take no more flights and wait for those under way."""
        self._pool.shutdown(wait=True)

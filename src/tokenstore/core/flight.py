"""Single flight: one piece of work per key in this process, however many callers want its result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class StillFlying(Exception):
    """The waiting time is over and the work goes on. No TimeoutError, which the work itself may raise."""


@dataclass(frozen=True, slots=True)
class Flight(Generic[T]):
    """Work under way. `started` is on the monotonic clock, in seconds; `variant`: for what of the key it was begun."""

    started: float
    variant: Hashable
    future: Future[T]

    def result(self, wait_seconds: float) -> T:
        """The result, waiting until `wait_seconds` after the flight began, not after the caller arrived.

        Raises what the work raised, and StillFlying when the time is over.
        """
        if not wait([self.future], max(0.0, self.started + wait_seconds - time.monotonic())).done:
            raise StillFlying
        return self.future.result()


class Flights(Generic[K, T]):
    """Runs work in threads of its own, so that no caller's leaving ends it; an orderly exit waits for it.

    workers: most flights at once in this process; further ones queue.
    """

    def __init__(self, workers: int) -> None:
        self._lock = threading.Lock()
        self._running: dict[K, Flight[T]] = {}
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="flight")

    def join(self, key: K, work: Callable[[], T], variant: Hashable = None) -> Flight[T]:
        """The flight of this key: the running one, whatever its variant, or a new one that does `work`.

        Raises RuntimeError if no work can be started: after `close`, or when the system gives no thread.
        """
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return running
            flight: Flight[T] = Flight(time.monotonic(), variant, Future())
            # Under the lock, so that nobody joins a flight that could not be started.
            self._pool.submit(self._run, key, flight, work)
            self._running[key] = flight
            return flight

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
            if self._running.get(key) is flight:
                del self._running[key]

    def close(self) -> None:
        """Take no more flights and wait for those under way."""
        self._pool.shutdown(wait=True)

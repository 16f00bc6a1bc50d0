"""Places at providers: how many of a process's threads may be busy with one, and with all of them together.

A request that calls a provider itself has a place as long as it lasts, so that one that hangs leaves threads to the
others. Callers who wait for a refresh have none, but keep to what is left (`flight`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tokenstore.core.model import Provider
from tokenstore.errors import ProviderBusy

THREADS = 8
"""With how many threads a process answers requests, unless REQUEST_THREADS says otherwise."""

SLOW_SECONDS = 1.0
"""A provider is slow where something has lasted longer than this."""


class Places:
    """Half of a process's threads for one group (a provider's id), three quarters for all; at least one. Thread-safe.

    Inside and waiting together are never all threads: one is left for whoever needs no provider.

    threads: with how many requests are answered.
    slow_seconds: age of a place that is not waited for.
    """

    def __init__(self, threads: int = THREADS, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self.most = max(1, threads // 2)
        self.most_in_all = max(1, threads * 3 // 4)
        self._most_with_waiting = threads - 1
        self._slow_seconds = slow_seconds
        self._waiting = 0
        self._changed = threading.Condition()
        # By group, then by thread: since when, on the monotonic clock.
        self._taken: dict[str, dict[int, float]] = {}

    @contextmanager
    def at(self, provider: Provider) -> Iterator[None]:
        """A place at the provider until the end of the block. Raises ProviderBusy, before anything is done.

        Where the provider has none left, one is waited for until the oldest that is taken is slow: who comes to a
        provider that answers is let in, and one that hangs keeps nobody who comes later. Where it is the others who
        take all, one is waited for until all of them are slow.
        """
        with self._enter(provider.id, patient=True) as admitted:
            if not admitted:
                whose = "providers" if self.left(provider.id) else provider.called
                raise ProviderBusy(
                    f"Answers come slowly from {whose} at present, and others wait for them already. "
                    "Nothing is lost: load this page again in a few seconds.",
                    debug="no place",
                )
            yield

    @contextmanager
    def enter(self, group: str) -> Iterator[bool]:
        """Whether there is a place now; it is taken until the end of the block."""
        with self._enter(group, patient=False) as admitted:
            yield admitted

    def left(self, group: str | None = None) -> int:
        """How many places are free at a group, or in all, where those who wait have theirs already."""
        with self._changed:
            if group is None:
                return max(0, self.most_in_all - len(self._all()) - self._waiting)
            return max(0, self.most - len(self._taken.get(group, ())))

    @contextmanager
    def _enter(self, group: str, *, patient: bool) -> Iterator[bool]:
        """A thread that has a place of the group needs no second one."""
        thread = threading.get_ident()
        with self._changed:
            taken = self._taken.setdefault(group, {})
            had = thread in taken
            admitted = had or (self._wait(taken) if patient else self._in_the_way(taken) is None)
            if admitted and not had:
                taken[thread] = time.monotonic()
                self._changed.notify_all()  # one who waits may have to give way
        try:
            yield admitted
        finally:
            if admitted and not had:
                with self._changed:
                    del taken[thread]
                    self._changed.notify_all()

    def _wait(self, taken: dict[int, float]) -> bool:
        """Whether there is a place, waiting for one if need be."""
        self._waiting += 1
        try:
            while (since := self._in_the_way(taken)) is not None:
                patience = since + self._slow_seconds - time.monotonic()
                if patience <= 0 or self._waiting > self._most_with_waiting - len(self._all()):
                    return False
                self._changed.wait(patience)
        finally:
            self._waiting -= 1
        return True

    def _in_the_way(self, taken: dict[int, float]) -> float | None:
        """Since when those are taken of which one has to get free first; None: there is a place.

        Of the group's own places the oldest counts, which tells of its provider; of all, the youngest.
        """
        if len(taken) >= self.most:
            return min(taken.values())
        in_all = self._all()
        return max(in_all) if len(in_all) >= self.most_in_all else None

    def _all(self) -> list[float]:
        return [since for taken in self._taken.values() for since in taken.values()]

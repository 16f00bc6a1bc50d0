"""Threads of which only one goes at a time, from one call of a port to the next: interleavings that can be repeated.

A mover stops before each call of a port that goes through `Stopping`, and goes on when it is told to. A process can be
killed wherever its movers are: then no call of theirs reaches a port any more.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Protocol

from typing_extensions import override

from tokenstore.core.flight import Flight, StillFlying
from tokenstore.core.model import AccessToken, LinkId
from tokenstore.core.tokens import TokenFlights
from tokenstore.errors import TokenStoreError

_here = threading.local()


class Killed(BaseException):
    """The process of a mover is gone."""


class Host(Protocol):
    """The process that movers are of."""

    machine: str
    dead: bool

    def now(self) -> float:
        """Monotonic seconds."""

    def did(self, call: str, arguments: tuple[Any, ...], result: Any) -> None:
        """A call of a port came back."""


class Mover:
    """Work that goes from stop to stop. `at`: before which call it stands; `stopped_at`: since when.

    `leased_at`: when it last took a lease. `waits_for`: another one without which it would go on in vain.
    """

    def __init__(self, host: Host, work: Callable[[], object]) -> None:
        self.host = host
        self.machine = host.machine
        self.at = "start"
        self.stopped_at = host.now()
        self.leased_at = -math.inf
        self.done = False
        self.waits_for: Mover | None = None
        self.error: BaseException | None = None
        self._work = work
        self._go = threading.Semaphore(0)
        self._came = threading.Semaphore(0)
        threading.Thread(target=self._run, name="mover", daemon=True).start()

    def go(self, calls: int | None = None) -> None:
        """Let it make so many calls, or all; returns when it stands before the next or is done.

        If it waits for another one, that one makes them, until it is done. With none it waits no more.
        """
        if calls == 0:
            self._step()
        while not self.done and calls != 0:
            other = self.waits_for
            (self if other is None or other.done else other)._step()  # noqa: SLF001  (of its own class)
            calls = None if calls is None else calls - 1

    def _step(self) -> None:
        if not self.done:
            self._go.release()
            self._came.acquire()

    def come_to(self, call: str) -> None:
        """In the mover's own thread: stop here. Raises Killed."""
        if not self.host.dead:
            self.at, self.stopped_at = call, self.host.now()
            self._came.release()
            self._go.acquire()
        if self.host.dead:
            raise Killed

    def wait_for(self, other: Mover) -> None:
        """In the mover's own thread: stop here, for the other's sake. Raises Killed."""
        self.waits_for = other
        self.come_to("waiting")
        self.waits_for = None

    def _run(self) -> None:
        self._go.acquire()
        _here.mover = self
        try:
            if not self.host.dead:
                self._work()
        except (TokenStoreError, Killed):
            pass
        except BaseException as error:  # noqa: BLE001  (the test wants to know of it, whatever it is)
            self.error = error
        self.done = True
        self._came.release()


def current_mover() -> Mover:
    """The one whose thread this is."""
    mover: Mover = _here.mover
    return mover


class Stopping:
    """Any port, with a stop before each of its calls. What it hands out that has calls of its own is wrapped, too."""

    def __init__(self, port: Any, host: Host, wraps: frozenset[str] = frozenset({"reserve", "left_behind"})) -> None:
        self._port = port
        self._host = host
        self._wraps = wraps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            current_mover().come_to(f"{type(self._port).__name__}.{name}")
            result = found(*arguments, **named)
            self._host.did(name, arguments, result)
            if name in self._wraps:
                return self._wrapped(result)
            return result

        return call

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, list):
            return [Stopping(one, self._host) for one in result]
        return Stopping(result, self._host)


class MovingFlights(TokenFlights):
    """Flights that are movers: one per link in a process, joined by whoever comes.

    A caller who goes on before the flight has landed has waited long enough.
    """

    def __init__(self, *, begin: Callable[[Callable[[], object]], Mover]) -> None:
        self._begin = begin
        self._flying: dict[LinkId, Flight[AccessToken]] = {}
        self._movers: dict[int, Mover] = {}

    @override
    def join(self, key: LinkId, work: Callable[[], AccessToken], variant: Hashable, group: str) -> Flight[AccessToken]:
        running = self._flying.get(key)
        if running is not None:
            return running
        flight: Flight[AccessToken] = Flight(0.0, variant, group, Future())
        self._flying[key] = flight
        self._movers[id(flight)] = self._begin(lambda: self._fly(key, flight, work))
        return flight

    @override
    def result(self, flight: Flight[AccessToken], wait_seconds: float) -> AccessToken:
        if not flight.future.done():
            current_mover().wait_for(self._movers[id(flight)])
        if not flight.future.done():
            raise StillFlying
        return flight.future.result()

    def _fly(self, key: LinkId, flight: Flight[AccessToken], work: Callable[[], AccessToken]) -> None:
        try:
            token = work()
        except BaseException as error:
            self._flying.pop(key)
            flight.future.set_exception(error)
            raise
        self._flying.pop(key)
        flight.future.set_result(token)

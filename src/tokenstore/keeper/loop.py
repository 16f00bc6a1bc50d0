"""Each chore in its own rhythm and its own thread, so that a slow or failing one holds up no other."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenstore.core.metrics import Metrics
from tokenstore.errors import TokenStoreError
from tokenstore.keeper.chores import Chore, Done

log = logging.getLogger(__name__)

BEGIN_AGAIN = 10.0
"""Seconds after which a chore is begun again for which there was no thread."""

FIRST_WITHIN = 30.0
"""Within so many seconds after the start each chore runs for the first time, at some moment."""


@dataclass(frozen=True, slots=True)
class Routine:
    """A chore and its rhythm: seconds between runs, and from the beginning of one that left more to do to the next."""

    name: str
    chore: Chore
    every: float
    again: float = 1.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a routine. `done` None: it failed."""

    name: str
    done: Done | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Clock, dice and patience of the loop, handed in so that tests need no waiting. Seconds."""

    monotonic: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    begin_again: float = BEGIN_AGAIN


class Loop:
    """Runs routines until it is told to stop. `report`: called with each run, in the thread of its routine."""

    def __init__(
        self, routines: Sequence[Routine], metrics: Metrics, report: Callable[[Ran], None], pace: Pace | None = None
    ) -> None:
        self._routines = routines
        self._metrics = metrics
        self._report = report
        self._pace = pace or Pace()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin no run any more. Returns at once.

        Not for a signal handler: the thread that it interrupts may hold the lock that is wanted here.
        """
        self._stopping.set()

    def run(self) -> None:
        """Run everything again and again; after `stop`, return when the runs under way have come to their end.

        What the system gives no thread for begins later.
        """
        threads: list[threading.Thread] = []
        waiting = list(self._routines)
        while True:
            waiting = [routine for routine in waiting if not self._begin(routine, threads)]
            if self._stopping.wait(self._pace.begin_again if waiting else None):
                break
        for thread in threads:
            thread.join()

    def run_once(self) -> bool:
        """Run each until nothing is left that can be done now; whether nothing failed. Stops in between if told to."""
        well = True
        for routine in self._routines:
            more = True
            while more and not self._stopping.is_set():
                ran = self._ran(routine)
                well = well and ran.done is not None and not ran.done.failed
                more = ran.done is not None and ran.done.more and ran.done.count > 0
                if more:
                    self._stopping.wait(max(0.0, routine.again - ran.seconds))
        return well

    def _begin(self, routine: Routine, threads: list[threading.Thread]) -> bool:
        thread = threading.Thread(target=self._follow, args=(routine,), name=f"keeper-{routine.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.exception("a chore cannot begin yet", extra={"chore": routine.name})
            return False
        threads.append(thread)
        return True

    def _follow(self, routine: Routine) -> None:
        pause = self._pace.uniform(0, min(routine.every, FIRST_WITHIN))
        while not self._stopping.wait(pause):
            ran = self._ran(routine)
            if ran.done is not None and ran.done.more:
                pause = max(0.0, routine.again - ran.seconds)
            else:
                # Jitter, so that many processes that began together do not go on together.
                pause = routine.every * self._pace.uniform(0.8, 1.2)

    def _ran(self, routine: Routine) -> Ran:
        begun, done = self._pace.monotonic(), None
        try:
            done = routine.chore.run()
        except TokenStoreError as error:
            log.warning("chore failed", extra={"chore": routine.name, "because": error.debug or error.slug})
        except Exception:
            log.exception("chore failed", extra={"chore": routine.name})
        ran = Ran(routine.name, done, self._pace.monotonic() - begun)
        self._metrics.chore_ran(routine.name, failed=done is None)
        try:
            self._report(ran)
        except Exception:
            log.exception("a run of a chore cannot be reported", extra={"chore": routine.name})
        return ran

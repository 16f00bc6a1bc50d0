"""The breakers of this process, one per provider (port `Gate`): their clock, their lock, and who is told of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tokenstore.core.gate import Pause
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import ProviderId
from tokenstore.providers.breaker import Breaker

_log = logging.getLogger(__name__)

_CLOSED = Breaker()


@dataclass(frozen=True, slots=True)
class Unsent:
    """Why a call does not go out, and for how long none does. `code`: the provider refuses this service, so."""

    retry_in: timedelta
    code: str | None


class Breakers:
    """Remembers what became of calls and says whether the next may go out. Thread-safe. `clock`: monotonic seconds."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._breakers: dict[ProviderId, Breaker] = {}

    def pause(self, provider_id: ProviderId) -> Pause | None:
        """See the port."""
        unsent = self.unsent(provider_id)
        return None if unsent is None else Pause(unsent.retry_in, misconfigured=unsent.code is not None)

    def unsent(self, provider_id: ProviderId, *, linking: bool = False) -> Unsent | None:
        """Why a call, or one that `linking` needs, would not go out now; None: it would."""
        return _unsent(self._breakers.get(provider_id, _CLOSED), self._clock(), linking=linking)

    def now(self) -> float:
        """When a call that is not admitted here begins."""
        return self._clock()

    def admit(self, provider_id: ProviderId, *, linking: bool = False) -> float | Unsent:
        """A call wants to go out: when it began, if it may. What comes of it is to be told here."""
        with self._lock:
            now, breaker = self._clock(), self._breakers.get(provider_id, _CLOSED)
            admitted = breaker.admit(now, linking=linking)
            if admitted is not None:
                self._put(provider_id, admitted)
                return now
            return _unsent(breaker, now, linking=linking) or Unsent(timedelta(), breaker.code)

    def spare(self, provider_id: ProviderId) -> bool:
        """Whether a revocation may go out. What comes of it is nothing to be told here."""
        with self._lock:
            spared = self._breakers.get(provider_id, _CLOSED).spare(self._clock())
            if spared is not None:
                self._put(provider_id, spared)
            return spared is not None

    def taken(self, provider_id: ProviderId, begun: float) -> None:
        """The provider dealt with a call's request."""
        self._turn(provider_id, lambda breaker, now: breaker.taken(begun, now))

    def answered(self, provider_id: ProviderId, begun: float) -> None:
        """The provider refused a call's request."""
        self._turn(provider_id, lambda breaker, now: breaker.answered(begun, now))

    def failed(self, provider_id: ProviderId, begun: float) -> None:
        """A call brought no answer that means anything."""
        self._turn(provider_id, lambda breaker, now: breaker.failed(begun, now))

    def refused_us(self, provider_id: ProviderId, begun: float, code: str) -> None:
        """The provider refused this service itself."""
        self._turn(provider_id, lambda breaker, now: breaker.refused_us(begun, now, code))

    def _turn(self, provider_id: ProviderId, event: Callable[[Breaker, float], Breaker]) -> None:
        with self._lock:
            before = self._breakers.get(provider_id, _CLOSED)
            after = event(before, self._clock())
            self._put(provider_id, after)
        if after.open and not before.open:
            because = {"provider": provider_id, "because": after.code or "no answers"}
            _log.error("provider is left alone but for a probe now and then", extra=because)
        elif before.open and not after.open:
            _log.warning("provider answers again", extra={"provider": provider_id})

    def _put(self, provider_id: ProviderId, breaker: Breaker) -> None:
        known = self._breakers.get(provider_id)
        self._breakers[provider_id] = breaker
        if known is None or known.open != breaker.open:
            self._metrics.breaker(provider_id, is_open=breaker.open)


def _unsent(breaker: Breaker, now: float, *, linking: bool) -> Unsent | None:
    wait = breaker.wait(now, linking=linking)
    return None if wait is None else Unsent(timedelta(seconds=wait), breaker.code)

"""When a provider is left alone: the breaker, as a value that knows no clock. Instants are monotonic seconds.

Closed, calls go out and are counted. Open, they do not, but for a probe now and then: one that the provider answers
closes it. Where the provider refuses this service, linking goes on all the same: people make few calls, and the
first that is answered well closes it, so that what the operator has mended works at once.

Revocations go to another endpoint, and what becomes of them says nothing of refreshes: they neither open it nor close
it, are not counted, and are no probe. Open, it holds them back, too, but for one now and then while nobody wants the
probe: what is owed must get out at a provider of which nobody wants anything else any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

WINDOW: Final = 30
"""Seconds within which calls are counted, to the second."""
LEAST_CALLS: Final = 20
"""With fewer calls in the window nothing is concluded from their failures."""
FAILING_SHARE: Final = 0.5
PROBE_EVERY: Final = 10.0
"""Seconds from one probe to the next."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The calls that ended within one second, `at` whole seconds, and how many of them failed."""

    at: int
    calls: int
    failures: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker of one provider. Each event makes the next one.

    since       when it opened or closed last: what comes of calls begun before is no news any more
    probe_at    open: from when a call may go out to see how things are; None: it is closed
    spare_at    open: from when the next revocation may go out, if nobody has wanted the probe for as long
    code        open because the provider refuses this service, in its word; None: because calls failed
    tallies     closed: the calls of the last seconds, oldest first
    """

    since: float = -math.inf
    probe_at: float | None = None
    spare_at: float = -math.inf
    code: str | None = None
    tallies: tuple[Tally, ...] = ()

    @property
    def open(self) -> bool:
        """Whether calls are held back."""
        return self.probe_at is not None

    def wait(self, now: float, *, linking: bool = False) -> float | None:
        """Seconds for which no call, or none that `linking` needs, may go out; None if one may now."""
        if self.probe_at is None or now >= self.probe_at or (linking and self.code is not None):
            return None
        return self.probe_at - now

    def admit(self, now: float, *, linking: bool = False) -> Breaker | None:
        """A call wants to go out: with this it may, None: it may not."""
        if self.wait(now, linking=linking) is not None:
            return None
        # Linking leaves the probe to the others, or people could keep them from it.
        is_probe = self.open and not (linking and self.code is not None)
        return replace(self, probe_at=now + PROBE_EVERY) if is_probe else self

    def spare(self, now: float) -> Breaker | None:
        """A revocation wants to go out: with this it may, None: it may not."""
        if self.probe_at is None:
            return self
        if now < max(self.probe_at + PROBE_EVERY, self.spare_at):
            return None
        return replace(self, spare_at=now + PROBE_EVERY)

    def taken(self, begun: float, now: float) -> Breaker:
        """The provider dealt with the request of a call, whatever it said about the grant."""
        if begun < self.since:
            return self
        return Breaker(since=now) if self.open else self._counted(now, failures=0)

    def answered(self, begun: float, now: float) -> Breaker:
        """The provider answered a call and refused the request: it is there, and whether it takes us is not known."""
        return self if self.code is not None else self.taken(begun, now)

    def failed(self, begun: float, now: float) -> Breaker:
        """A call brought no answer, or none that means anything."""
        if begun < self.since:
            return self
        if self.probe_at is not None:
            return replace(self, probe_at=max(self.probe_at, begun + PROBE_EVERY))
        counted = self._counted(now, failures=1)
        calls = sum(tally.calls for tally in counted.tallies)
        failures = sum(tally.failures for tally in counted.tallies)
        too_many = calls >= LEAST_CALLS and failures >= calls * FAILING_SHARE
        return Breaker(since=now, probe_at=now + PROBE_EVERY) if too_many else counted

    def refused_us(self, begun: float, now: float, code: str) -> Breaker:
        """The provider refused this service itself."""
        if begun < self.since:
            return self
        return replace(self, code=code) if self.open else Breaker(since=now, probe_at=now + PROBE_EVERY, code=code)

    def _counted(self, now: float, *, failures: int) -> Breaker:
        at = math.floor(now)
        kept = tuple(tally for tally in self.tallies if at - WINDOW < tally.at)
        if kept and kept[-1].at == at:
            last = kept[-1]
            return replace(self, tallies=(*kept[:-1], Tally(at, last.calls + 1, last.failures + failures)))
        return replace(self, tallies=(*kept, Tally(at, 1, failures)))

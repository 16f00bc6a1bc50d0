"""The small chores. Each run is short, may be cut off at any time without harm, and may happen elsewhere as well."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Protocol

from tokenstore.core.asking import Asker
from tokenstore.core.gate import Gate
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import ProviderId, RevocationResult
from tokenstore.core.ports import Outbox, Perishables, Perished
from tokenstore.core.refresh import Recovery
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.spool import Spool
from tokenstore.core.usage import Usage
from tokenstore.errors import StorageUnavailable

log = logging.getLogger(__name__)

OWED_AT_ONCE = 4
OWED_SECONDS = 5.0
"""After so long no further token is revoked in a run, so that an orderly stop need not wait for several."""

PURGED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did. `more`: so much is left that the next run should be soon; `failed`: how much it tried in vain."""

    count: int
    more: bool = False
    failed: int = 0


class Chore(Protocol):
    """Something that is done again and again."""

    def run(self) -> Done:
        """Do some of it. Any error ends this run alone."""


class PayOwed:
    """Revokes tokens at their providers, where that was not possible at once, and gives up after some days."""

    def __init__(self, revoker: Revoker, registry: Registry, gate: Gate) -> None:
        self._revoker = revoker
        self._registry = registry
        self._gate = gate

    def run(self) -> Done:
        """Some of what is due, not of providers that are not called at present.

        One after another, so that a provider whose breaker opens meanwhile is troubled no more, nor one that left a
        token queued: it may hang.
        """
        tried = self._pay_some()
        dropped = self._revoker.give_up(PURGED_AT_ONCE)
        if dropped:
            log.error("tokens could not be revoked for days and are given up", extra={"count": dropped})
        return Done(tried.count + dropped, tried.more or dropped == PURGED_AT_ONCE)

    def _pay_some(self) -> Done:
        tried, ends = 0, time.monotonic() + OWED_SECONDS
        unwilling: set[ProviderId] = set()
        while tried < OWED_AT_ONCE and time.monotonic() < ends:
            paused = {provider.id for provider in self._registry if self._gate.pause(provider.id) is not None}
            settled = self._revoker.settle_next(paused | unwilling)
            if settled is None:
                return Done(tried)
            provider_id, result = settled
            tried += result is not None
            if result is RevocationResult.QUEUED:
                unwilling.add(provider_id)
        return Done(tried, more=True)


class GiveBack:
    """Gives back tokens that waited in vain for a person's word."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def run(self) -> Done:
        """Some of them."""
        count = self._asker.sweep()
        return Done(count, count > 0)


class ReplaySpool:
    """Puts what waits in the spool of this machine into the database."""

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery

    def run(self) -> Done:
        """All that waits; soon again if the database takes nothing at present."""
        try:
            replayed = self._recovery.replay_all()
            self._recovery.tidy()
        except StorageUnavailable as error:
            log.warning("the spool cannot be replayed yet", extra={"because": error.debug or error.slug})
            return Done(0, more=True, failed=1)
        return Done(replayed.saved, failed=replayed.left)


class FlushUsage:
    """Writes down which links were used in this process."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def run(self) -> Done:
        """All that was noted."""
        return Done(self._usage.flush())


class Purge:
    """Removes what has had its time."""

    def __init__(self, perishables: Perishables, metrics: Metrics) -> None:
        self._perishables = perishables
        self._metrics = metrics

    def run(self) -> Done:
        """Some of each kind."""
        counts = []
        for what in Perished:
            count = self._perishables.purge(what, PURGED_AT_ONCE)
            self._metrics.purged(what, count)
            counts.append(count)
        return Done(sum(counts), max(counts) == PURGED_AT_ONCE)


class Measure:
    """Tells the metrics what waits in outbox and spool."""

    def __init__(self, outbox: Outbox, spool: Spool, metrics: Metrics) -> None:
        self._outbox = outbox
        self._spool = spool
        self._metrics = metrics

    def run(self) -> Done:
        """Both, and the spool even if the database cannot be asked."""
        waiting = self._spool.depth()
        self._metrics.spool_depth(waiting.entries + waiting.unreadable, waiting.oldest.total_seconds())
        owed = self._outbox.depth()
        self._metrics.outbox_depth(owed.entries, owed.oldest.total_seconds())
        self._spool.ready()  # nothing else tells the log soon after the start
        return Done(0)

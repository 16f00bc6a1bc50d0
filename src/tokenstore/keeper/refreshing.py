"""Links looked after at one provider: refreshed ahead, tried again when in doubt, kept from being forgotten."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from tokenstore.core.due import SOONEST, Due, decide
from tokenstore.core.gate import Gate
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import Asked, Caller, CallerKind, Provider
from tokenstore.core.ports import DueLinks
from tokenstore.core.refresh import Errand, Recovery, Refresher, Superseded
from tokenstore.core.refresh.refresher import respect
from tokenstore.core.spool import Spool
from tokenstore.errors import ReauthorizationRequired, RefreshInProgress, StorageUnavailable, TokenStoreError
from tokenstore.keeper.chores import Done

log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 4
"""Links of one provider that are refreshed side by side; no more are leased at a time."""

FORWARD_AT_ONCE = 200
"""Links that become due at a time because their provider would forget them."""


class LookAfter:
    """The chore of one provider. `unused`: how long after its last use a link counts as in use."""

    def __init__(
        self,
        provider: Provider,
        links: DueLinks,
        refresher: Refresher,
        recovery: Recovery,
        spool: Spool,
        gate: Gate,
        metrics: Metrics,
        *,
        unused: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._links = links
        self._refresher = refresher
        self._recovery = recovery
        self._spool = spool
        self._gate = gate
        self._metrics = metrics
        self._unused = unused
        self._monotonic = monotonic

    def run(self) -> Done:
        """The links that have been due for longest, unless the provider is not called at present."""
        provider = self._provider
        if self._gate.pause(provider.id) is not None:
            return Done(0)
        self._refresher.settle()
        owner = f"{self._spool.name()}/{uuid4()}"
        asked = self._monotonic()
        taken = self._links.take_due(provider, owner, AT_ONCE, respect(provider.rotation))
        failed: list[Due] = []
        side_by_side(lambda due: self._look(due, asked, failed), taken)
        return Done(len(taken), more=len(taken) == AT_ONCE, failed=len(failed))

    def _look(self, due: Due, asked: float, failed: list[Due]) -> None:
        """`failed`: gets a link that could not be looked after. The provider's no to it alone is no failure."""
        try:
            outcome = self._looked_after(due, asked)
        except TokenStoreError as error:
            outcome = "failed"
            if not isinstance(error, (RefreshInProgress, ReauthorizationRequired)):
                failed.append(due)
            log.info("link not refreshed", extra={"link": str(due.lease.link.id), "because": error.slug})
        except Exception:
            outcome = "failed"
            failed.append(due)
            log.exception("looking after a link failed", extra={"link": str(due.lease.link.id)})
        self._metrics.looked_after(self._provider.id, outcome)

    def _looked_after(self, due: Due, asked: float) -> str:
        """What became of the link, in a word; its lease is given back in any case."""
        lease = due.lease
        try:
            outcome = self._without_call(due)
        except Exception:
            with suppress(StorageUnavailable):  # then the lease ends by itself
                self._links.reschedule(lease, SOONEST)
            raise
        if outcome is not None:
            return outcome
        caller = Caller(CallerKind.KEEPER, due.owner)
        errand = Errand(self._provider, caller, lease.link, Asked(), due.access_issued_at)
        try:
            self._refresher.refresh_leased(errand, lease, asked)
        except Superseded:
            return "moved"
        return "refreshed"

    def _without_call(self, due: Due) -> str | None:
        """What became of a link that needs no refresh now, as its time has not come or the spool has the answer."""
        later = decide(self._provider, due, self._unused)
        if later is not None:
            self._links.reschedule(due.lease, later.due_in)
            return "later"
        # The refresh token was spent already, by a process that died, and its successor is saved with this.
        if self._recovery.replay_link(due.lease.link.id):
            self._links.reschedule(due.lease, SOONEST)
            return "replayed"
        return None


class BringForward:
    """Finds links that the provider would forget and that are not due in time: their idle time was learned later."""

    def __init__(self, provider: Provider, links: DueLinks) -> None:
        self._provider = provider
        self._links = links

    def run(self) -> Done:
        """Some of them."""
        count = self._links.bring_forward(self._provider, FORWARD_AT_ONCE)
        return Done(count, more=count == FORWARD_AT_ONCE)


def side_by_side(work: Callable[[T], None], items: Sequence[T]) -> None:
    """Do the work of all at the same time; returns when all is done. `work` does not raise."""
    threads = []
    for item in items[1:]:
        # Not of a pool, which would take no more work while a process ends, and this work has to be done then.
        thread = threading.Thread(target=work, args=(item,), name="keeper-link", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread
            work(item)
        else:
            threads.append(thread)
    for item in items[:1]:
        work(item)
    for thread in threads:
        thread.join()

"""How often callers may have a link refreshed for another scope, audience or resource than the plain one.

Each of the variants that a caller can think of spends the link's refresh token once, so the number is kept small; and
what a provider has refused is not asked again at once. Of one process, in memory, and no longer than it matters.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta

from tokenstore.core.model import Link, LinkId
from tokenstore.errors import RefreshInProgress, ScopeNotGranted

AT_MOST = 10
"""Refreshes of one link that callers bring about within `PERIOD_SECONDS`."""

PERIOD_SECONDS = 30.0

REFUSED_SECONDS = 60.0
"""How long a refused variant is not asked for again."""

_Variant = tuple[LinkId, int, str]
"""A variant of a link in one version: linking again, which makes the next one, may have widened the grant."""

REFUSED_MOST = 1000
"""Refused variants that are remembered; the oldest give way."""


class Allowance:
    """What callers have brought about lately, by link. Thread-safe. now: a monotonic clock, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._spent: OrderedDict[LinkId, deque[float]] = OrderedDict()
        self._refused: OrderedDict[_Variant, tuple[float, ScopeNotGranted]] = OrderedDict()

    def require(self, link: Link, variant: str) -> None:
        """Raise ScopeNotGranted if the variant was just refused, RefreshInProgress if the link was refreshed too often.

        Nothing is spent by asking.
        """
        with self._lock:
            now = self._now()
            until, refusal = self._refused.get((link.id, link.version, variant), (now, None))
            if refusal is not None and now < until:
                raise _again(refusal)
            spent = self._spent.get(link.id)
            if spent is None or len(spent) < AT_MOST or now >= spent[0] + PERIOD_SECONDS:
                return
            wait = spent[0] + PERIOD_SECONDS - now
        raise RefreshInProgress(
            f"This link was refreshed {AT_MOST} times within {PERIOD_SECONDS:.0f} s. Ask again later.",
            retry_after=timedelta(seconds=wait),
        )

    def spend(self, link: Link) -> None:
        """The provider answered to a refresh that a caller brought about."""
        with self._lock:
            now = self._now()
            self._spent.setdefault(link.id, deque(maxlen=AT_MOST)).append(now)
            self._spent.move_to_end(link.id)
            while now >= next(iter(self._spent.values()))[-1] + PERIOD_SECONDS:
                self._spent.popitem(last=False)

    def refused(self, link: Link, variant: str, refusal: ScopeNotGranted) -> None:
        """A provider refused the variant: that is what is said for a minute."""
        with self._lock:
            key = (link.id, link.version, variant)
            self._refused[key] = (self._now() + REFUSED_SECONDS, _again(refusal))
            self._refused.move_to_end(key)
            if len(self._refused) > REFUSED_MOST:
                self._refused.popitem(last=False)


def _again(refusal: ScopeNotGranted) -> ScopeNotGranted:
    """The same without a traceback, which would keep alive what a refresh held."""
    return ScopeNotGranted(
        refusal.detail, provider_id=refusal.provider_id, linking_mends=refusal.linking_mends, debug=refusal.debug
    )

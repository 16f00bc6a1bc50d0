"""Who is disabled, as every request of a program has to know: read anew often enough to be true within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tokenstore.core.model import Identity
from tokenstore.errors import StorageUnavailable

READ_EVERY = 0.5
"""Seconds for which a reading counts, or its failure."""


class DisabledUsers:
    """The disabled users, read at most every READ_EVERY seconds however many requests there are. Thread-safe.

    `load` raises StorageUnavailable; then so does the question, since nobody may come in unasked. Whoever waited for
    a reading takes what came of it: an outage is met once, not by one request after the other.
    """

    def __init__(
        self, load: Callable[[], frozenset[Identity]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read: tuple[float, frozenset[Identity] | StorageUnavailable] = (float("-inf"), frozenset())

    def __contains__(self, identity: object) -> bool:
        asked = self._monotonic()
        good_until, found = self._read
        if asked >= good_until:
            found = self._reload(asked)
        if isinstance(found, StorageUnavailable):
            # Another one for each request, as an error gathers what happens to it.
            raise StorageUnavailable(found.detail, retry_after=found.retry_after, debug=found.debug)
        return identity in found

    def _reload(self, asked: float) -> frozenset[Identity] | StorageUnavailable:
        with self._lock:
            good_until, found = self._read
            if asked < good_until:
                return found  # whoever held the lock before has read it
            begun = self._monotonic()
            try:
                found = self._load()
            except StorageUnavailable as error:
                # From its end, as failing may take long.
                begun, found = self._monotonic(), error
            self._read = (begun + READ_EVERY, found)
            return found

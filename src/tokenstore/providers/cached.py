"""A value fetched from a provider and kept: for a while as it is, for longer while it cannot be fetched again.

Owns freshness and the single flight; what is fetched, and how, is the loader's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable

_log = logging.getLogger(__name__)

T = TypeVar("T")
Clock = Callable[[], float]
"""Seconds of a clock that never goes back."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds: `ttl` until a value is reloaded, `stale` until it is no longer served, `pause` between two tries."""

    ttl: float = 3600.0
    stale: float = 86400.0
    pause: float = 5.0


class Cached(Generic[T]):
    """One cached value; thread-safe, one load at a time.

    The first load happens in the caller's thread while others wait for it; later ones in a thread of their own while
    everybody gets the old value. A load that failed is not tried again before `pause` is over.
    `load` raises ProviderUnavailable or ProviderMisconfigured.
    """

    def __init__(
        self, load: Callable[[], T], freshness: Freshness | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._load = load
        self._freshness = freshness or Freshness()
        self._clock = clock
        self._flight = threading.Lock()
        self._kept: tuple[T, float] | None = None
        self._failed: tuple[ProviderUnavailable | ProviderMisconfigured, float] | None = None

    def get(self) -> T:
        """The value; raises what the load raised when there is none that may still be served."""
        kept = self._kept
        if kept is not None:
            age = self._clock() - kept[1]
            if age < self._freshness.ttl:
                return kept[0]
            if age < self._freshness.stale:
                self._reload_aside()
                return kept[0]
        with self._flight:
            # Whoever held the lock before may have loaded it.
            if self._kept is not None and self._kept is not kept:
                return self._kept[0]
            self._refuse_while_paused()
            return self._reload()

    def newer_than(self, seconds: float) -> T:
        """The value, loaded again first if it is older than that; the old one if it cannot be, or while another loads.

        So at most one caller waits for a provider that hangs, however many ask for what it does not have.
        """
        kept = self._kept
        if kept is None:
            return self.get()
        if not self._flight.acquire(blocking=False):
            return kept[0]
        try:
            if self._kept is not None and (self._clock() - self._kept[1] < seconds or self._paused()):
                return self._kept[0]
            return self._reload()
        except (ProviderUnavailable, ProviderMisconfigured):
            return kept[0]
        finally:
            self._flight.release()

    def _reload(self) -> T:
        try:
            value = self._load()
        except (ProviderUnavailable, ProviderMisconfigured) as exc:
            self._failed = (exc, self._clock())
            raise
        self._kept, self._failed = (value, self._clock()), None
        return value

    def _paused(self) -> bool:
        return self._failed is not None and self._clock() - self._failed[1] < self._freshness.pause

    def _refuse_while_paused(self) -> None:
        if self._failed is not None and self._paused():
            error = self._failed[0]
            raise type(error)(error.detail, debug=error.debug)

    def _reload_aside(self) -> None:
        if self._paused() or not self._flight.acquire(blocking=False):
            return

        def reload() -> None:
            try:
                self._reload()
            except (ProviderUnavailable, ProviderMisconfigured) as exc:
                _log.warning("reload failed, the old value is served on: %s", exc.debug or exc.slug)
            finally:
                self._flight.release()

        try:
            threading.Thread(target=reload, name="reload", daemon=True).start()
        except RuntimeError:
            self._flight.release()
            raise

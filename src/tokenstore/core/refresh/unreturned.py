"""Leases that the database may hold for this process without a use: nothing was sent under them.

A database that falls silent may take a lease without being able to say so, or not be told to take it back. Such a lease
ends by itself, too, but until then nobody could refresh the link.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tokenstore.core.model import Lease, LinkId
from tokenstore.core.ports import LinkStore
from tokenstore.core.secret import Secret

ENDED_AFTER_SECONDS = 60.0
"""No lease lasts for so long."""


class Unreturned:
    """What this process still has to give back. Thread-safe: at worst one is forgotten, and ends by itself."""

    def __init__(self, links: LinkStore, monotonic: Callable[[], float]) -> None:
        self._links = links
        self._monotonic = monotonic
        self._kept: dict[LinkId, tuple[Lease, float]] = {}

    def note(self, lease: Lease) -> None:
        """Give this lease back later; no token of it is kept until then."""
        now = self._monotonic()
        for link_id, (_, ends) in list(self._kept.items()):
            if ends <= now:
                self._kept.pop(link_id, None)
        kept = replace(lease, refresh_token=Secret(""), previous_token=None)
        self._kept[lease.link.id] = (kept, now + ENDED_AFTER_SECONDS)

    def settle_all(self) -> None:
        """`settle` for every link. Raises StorageUnavailable."""
        for link_id in list(self._kept):
            self.settle(link_id)

    def settle(self, link_id: LinkId) -> None:
        """Give back what is noted of this link, if it has not ended. Raises StorageUnavailable; it stays noted then."""
        lease, ends = self._kept.get(link_id, (None, 0.0))
        if lease is not None and self._monotonic() < ends:
            self._links.release_lease(lease, None)
        self._kept.pop(link_id, None)

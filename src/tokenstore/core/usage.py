"""Which links were used lately: noted at each hand-out in this process, written down together a little later."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from tokenstore.core.model import LinkId
from tokenstore.core.ports import UsedLinks

AT_LEAST = timedelta(seconds=60)
"""By how much the recorded time of the last use may lag behind, so that a busy link is rarely written."""

AT_ONCE = 500


class Usage:
    """Links used since they were last written down. Safe to share between threads."""

    def __init__(self, links: UsedLinks) -> None:
        self._links = links
        # Put and taken by single operations of the dictionary, which need no lock.
        self._noted: dict[LinkId, None] = {}

    def note(self, link_id: LinkId) -> None:
        """A token of the link was given out. Costs next to nothing."""
        self._noted[link_id] = None

    def flush(self) -> int:
        """Write down what was noted; how many links were written. Raises StorageUnavailable, with nothing forgotten."""
        written = 0
        while taken := self._take():
            try:
                written += self._links.used(taken, AT_LEAST)
            except Exception:
                self._noted.update(dict.fromkeys(taken))
                raise
        return written

    def _take(self) -> Collection[LinkId]:
        taken: set[LinkId] = set()
        with suppress(KeyError):  # empty, whoever emptied it
            while len(taken) < AT_ONCE:
                taken.add(self._noted.popitem()[0])
        return taken

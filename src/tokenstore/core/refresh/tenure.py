"""How long a lease that was taken surely lasts, and until when its flight may begin calls. This process's own clock."""

from __future__ import annotations

import math
from datetime import timedelta

from tokenstore.core.model import Doubt, Lease, Rotation
from tokenstore.core.ports import LinkStore
from tokenstore.core.refresh.errand import Timing
from tokenstore.core.refresh.keeping import Superseded
from tokenstore.errors import StorageUnavailable

FLIGHT_SECONDS = 26.0
"""No call is begun that could end later than this after the first was; an orderly stop waits for it."""

SPARE_SECONDS = 2.0
"""What a lease lasts longer than the call that is begun under it; of a lease that is that short, a second less."""


class Tenure:
    """A lease under way. `taken`: the monotonic time before it was asked for, as the database's clock is not ours."""

    def __init__(self, links: LinkStore, lease: Lease, rotation: Rotation, timing: Timing, taken: float) -> None:
        length, deadline = rotation.lease.total_seconds(), rotation.deadline.total_seconds()
        self.lease = lease
        self._links = links
        self._rotation = rotation
        self._timing = timing
        self._needed = min(deadline + SPARE_SECONDS, length - 1)
        self._sure_until = taken + length
        self._last_start = math.inf

    def begin(self) -> None:
        """See to it that the lease outlasts the first call, which may begin now. Raises as `renew` does."""
        if not self._outlasts():
            self.renew()
        self._last_start = self._timing.monotonic() + last_start(self._rotation).total_seconds()

    def renew(self, doubt: Doubt | None = None) -> None:
        """Make the lease last for another call. `doubt`: what is left of the call before.

        Raises Superseded where it is no longer ours, StorageUnavailable where the database cannot say so in time.
        """
        asked = self._timing.monotonic()
        if not self._links.renew_lease(self.lease, self._rotation.lease, doubt):
            raise Superseded
        self._sure_until = asked + self._rotation.lease.total_seconds()
        if not self._outlasts():
            raise StorageUnavailable("The database answers too slowly for a refresh. Ask again.", debug="lease")

    def in_time(self) -> bool:
        """Whether a call that begins now ends while the flight may last."""
        return self._timing.monotonic() <= self._last_start

    def _outlasts(self) -> bool:
        return self._sure_until - self._timing.monotonic() >= self._needed


def last_start(rotation: Rotation) -> timedelta:
    """How long after its first call a flight may begin another one."""
    return timedelta(seconds=FLIGHT_SECONDS) - rotation.deadline

"""Where browser sessions can be kept, as `sessions` sees it: sealed bytes under an opaque id, with two ends.

A session ends when it was not used for a while and when it has lived long enough, whichever comes first, by the
clock of the place that keeps it. What the bytes mean is `sessions`' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A live session, at its keeper's `now`."""

    sealed: bytes
    created_at: datetime
    expires_at: datetime
    now: datetime


class SessionStore(Protocol):
    """Reads and writes sessions. All methods raise StorageUnavailable; each stands alone."""

    def read(self, row_id: str) -> SessionRow | None:
        """The session of this id unless it has ended."""

    def insert(self, row_id: str, sealed: bytes) -> None:
        """Keep a new session."""

    def update(self, row_id: str, sealed: bytes) -> None:
        """Replace the content and count as used. A session that is gone stays gone: a log-out elsewhere wins."""

    def touch(self, row_id: str) -> None:
        """Count as used."""

    def delete(self, row_id: str) -> None:
        """End the session."""

    def can_be_prolonged(self, row: SessionRow, pause: timedelta) -> bool:
        """Whether using the session now moves its end by at least `pause`."""


def can_be_prolonged(row: SessionRow, pause: timedelta, *, idle: timedelta, lifetime: timedelta) -> bool:
    """The answer of `SessionStore.can_be_prolonged` where sessions end `idle` after use and `lifetime` after birth."""
    return min(row.now + idle, row.created_at + lifetime) - row.expires_at >= pause

"""What a flight is to bring home, and the clock it goes by."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tokenstore.core.model import Asked, AuditEvent, Caller, Link, Provider


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """Clocks, pause and dice of the protocol, handed in so that tests need no waiting. Seconds."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True, slots=True)
class Errand:
    """A token of this variant for this link, newer than `seen`."""

    provider: Provider
    caller: Caller
    link: Link
    asked: Asked
    seen: datetime | None

    def about(self, event: AuditEvent) -> AuditEvent:
        """The event with this errand's caller, provider and link."""
        return replace(
            event,
            caller=self.caller,
            user=self.caller.identity,
            provider_id=self.provider.id,
            link_id=self.link.id,
        )

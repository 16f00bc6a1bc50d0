"""What stands between this process and a provider that does not answer, as a port."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tokenstore.core.model import ProviderId


@dataclass(frozen=True, slots=True)
class Pause:
    """Why no call to a provider should be begun now, and for how long.

    `misconfigured`: the provider refuses this service itself, which the operator has to mend.
    """

    retry_in: timedelta
    misconfigured: bool


class Gate(Protocol):
    """The breaker of each provider in this process."""

    def pause(self, provider_id: ProviderId) -> Pause | None:
        """Whether a call would be refused now without being sent; None: it would go out. Costs nothing."""

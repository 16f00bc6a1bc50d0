"""The `Gate` port as tests set it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tokenstore.core.gate import Pause
from tokenstore.core.model import ProviderId


@dataclass(slots=True)
class FakeGate:
    """Lets everything through unless told otherwise."""

    pauses: dict[ProviderId, Pause] = field(default_factory=dict)

    def pause(self, provider_id: ProviderId) -> Pause | None:
        return self.pauses.get(provider_id)

    def shut(self, provider_id: ProviderId, seconds: float = 7, *, misconfigured: bool = False) -> None:
        """Leave a provider alone."""
        self.pauses[provider_id] = Pause(timedelta(seconds=seconds), misconfigured)

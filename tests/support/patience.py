"""The patience of a store in this process: its breakers, which a test need not wait for."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tokenstore.composing.providers import Providers, make_providers
from tokenstore.config import Loaded
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import ProviderId
from tokenstore.providers.breaker import WINDOW
from tokenstore.providers.breakers import Breakers


class Patience:
    """Makes the provider client of a store, and lets time pass for its breakers."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._breakers: Breakers | None = None

    def providers_of(self, loaded: Loaded, metrics: Metrics) -> Providers:
        """As the store makes them, on this clock."""
        made = make_providers(loaded, metrics, lambda: time.monotonic() + self._ahead)
        if isinstance(made.gate, Breakers):
            self._breakers = made.gate
        return made

    def let_pass(self, seconds: float) -> None:
        """Let time pass, at once."""
        self._ahead += seconds

    def forget(self, provider_ids: Iterable[str]) -> None:
        """As if these providers had always answered."""
        self.let_pass(WINDOW + 1)
        if self._breakers is not None:
            for provider_id in provider_ids:
                self._breakers.taken(ProviderId(provider_id), self._breakers.now())

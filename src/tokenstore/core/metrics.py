"""What the services count, as a port: how it is kept and shown is the business of whoever implements it."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Counters. No method raises or waits for anything; provider ids are configured ones, times are in seconds."""

    def handed_out(self, provider_id: str, *, cached: bool) -> None:
        """An access token was given to a caller; `cached`: without a refresh."""

    def waited(self, provider_id: str, seconds: float) -> None:
        """A caller waited for a refresh, whether that brought a token or not."""

    def fence_missed(self, provider_id: str) -> None:
        """A link had moved when tokens of a refresh were to be saved."""

    def link_broken(self, provider_id: str) -> None:
        """A provider ended the grant of a link."""

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        """A provider was called: `call` is what for, `outcome` a word out of a few for what came of it."""

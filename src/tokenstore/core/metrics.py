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

    def link_lost(self, provider_id: str, reason: str) -> None:
        """A link broke whose refresh token may have been spent without our knowing; `reason`: its doubt."""

    def quarantined(self, provider_id: str) -> None:
        """A provider refused too many links at once and went into quarantine."""

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        """A provider was called: `call` is what for, `outcome` a word out of a few for what came of it."""

    def breaker(self, provider_id: str, *, is_open: bool) -> None:
        """A provider's breaker in this process opened or closed."""

    def flying(self, provider_id: str, flights: int) -> None:
        """So many refreshes at a provider are under way in this process now."""

    def parked(self, provider_id: str, callers: int) -> None:
        """So many callers wait for refreshes at a provider in this process now."""

    def turned_away(self, provider_id: str) -> None:
        """A refresh was not begun because too many are under way."""

    def looked_after(self, provider_id: str, outcome: str) -> None:
        """The keeper looked after a link that was due; `outcome`: a word for what came of it."""

    def chore_ran(self, chore: str, *, failed: bool) -> None:
        """A chore of the keeper ran, or failed."""

    def purged(self, what: str, count: int) -> None:
        """The keeper removed so many of what had had its time."""

    def outbox_depth(self, entries: int, oldest: float) -> None:
        """How many tokens are still to be revoked, and for how many seconds the oldest has been."""

    def spool_depth(self, entries: int, oldest: float) -> None:
        """How many answers wait in the spool, and for how many seconds the oldest has."""

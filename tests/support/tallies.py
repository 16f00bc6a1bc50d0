"""The `Metrics` port, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tallies:
    """What was counted, in order; `waits` and `calls` without their times."""

    hand_outs: list[tuple[str, bool]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    fence_misses: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    quarantines: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    breakers: list[tuple[str, bool]] = field(default_factory=list)
    flights: list[tuple[str, int]] = field(default_factory=list)
    callers: list[tuple[str, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    looks: list[tuple[str, str]] = field(default_factory=list)
    chores: list[tuple[str, bool]] = field(default_factory=list)
    purges: dict[str, int] = field(default_factory=dict)
    depths: dict[str, tuple[int, float]] = field(default_factory=dict)

    def handed_out(self, provider_id: str, *, cached: bool) -> None:
        self.hand_outs.append((provider_id, cached))

    def waited(self, provider_id: str, seconds: float) -> None:
        assert seconds >= 0
        self.waits.append(provider_id)

    def fence_missed(self, provider_id: str) -> None:
        self.fence_misses.append(provider_id)

    def link_broken(self, provider_id: str) -> None:
        self.broken.append(provider_id)

    def link_lost(self, provider_id: str, reason: str) -> None:
        self.lost.append((provider_id, reason))

    def quarantined(self, provider_id: str) -> None:
        self.quarantines.append(provider_id)

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((provider_id, call, outcome))

    def breaker(self, provider_id: str, *, is_open: bool) -> None:
        self.breakers.append((provider_id, is_open))

    def flying(self, provider_id: str, flights: int) -> None:
        self.flights.append((provider_id, flights))

    def parked(self, provider_id: str, callers: int) -> None:
        self.callers.append((provider_id, callers))

    def turned_away(self, provider_id: str) -> None:
        self.refused.append(provider_id)

    def looked_after(self, provider_id: str, outcome: str) -> None:
        self.looks.append((provider_id, outcome))

    def chore_ran(self, chore: str, *, failed: bool) -> None:
        self.chores.append((chore, failed))

    def purged(self, what: str, count: int) -> None:
        self.purges[what] = self.purges.get(what, 0) + count

    def outbox_depth(self, entries: int, oldest: float) -> None:
        self.depths["outbox"] = (entries, oldest)

    def spool_depth(self, entries: int, oldest: float) -> None:
        self.depths["spool"] = (entries, oldest)

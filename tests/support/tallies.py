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
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def handed_out(self, provider_id: str, *, cached: bool) -> None:
        self.hand_outs.append((provider_id, cached))

    def waited(self, provider_id: str, seconds: float) -> None:
        assert seconds >= 0
        self.waits.append(provider_id)

    def fence_missed(self, provider_id: str) -> None:
        self.fence_misses.append(provider_id)

    def link_broken(self, provider_id: str) -> None:
        self.broken.append(provider_id)

    def called(self, provider_id: str, call: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((provider_id, call, outcome))

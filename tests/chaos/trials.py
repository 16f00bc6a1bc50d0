"""What a battery is: cells of trials, each trial a small experiment that says what was not as it has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.databases import Databases


@dataclass(frozen=True, slots=True)
class Finding:
    """What a trial showed: what was not as documented, and figures by name (seconds, or how many)."""

    deviations: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Checks:
    """Collects what a trial finds."""

    deviations: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def that(self, fact: bool, otherwise: str) -> None:
        """Note `otherwise` unless the fact holds."""
        if not fact:
            self.deviations.append(otherwise)

    def same(self, what: str, found: object, expected: object) -> None:
        """Note a value that is not the expected one."""
        self.that(found == expected, f"{what}: {found!r}, not {expected!r}")

    def finding(self) -> Finding:
        """All of it."""
        return Finding(tuple(self.deviations), dict(self.figures))


Trial = Callable[[int], Finding]
"""Makes the trial of this number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Trials of one kind under one roof. `trials` at full length; `seconds`: of one, until it has been measured.

    `opened` sets everything up in an empty folder, and takes it down again.
    """

    name: str
    trials: int
    seconds: float
    opened: Callable[[Databases, Path], AbstractContextManager[Trial]]


@dataclass(frozen=True, slots=True)
class Battery:
    """A row of the table: what is done, and what has to come of it."""

    id: str
    what: str
    expected: str
    cells: Sequence[Cell]

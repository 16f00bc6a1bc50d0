"""What one look at the settings brings to light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenstore.config.sources import Taken
from tokenstore.config.table import Settings
from tokenstore.core.settings import Setting
from tokenstore.providers.settings import ProviderSettings


@dataclass(frozen=True, slots=True)
class Group:
    """One filled table for the dump: `prefix` begins its names, `origins` says by row name where values came from."""

    prefix: str
    rows: tuple[Setting, ...]
    values: Settings | ProviderSettings
    origins: Mapping[str, str]


@dataclass(slots=True)
class Findings:
    """Collected on the way through the tables: problems, which forbid a start, warnings, and every name there is."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    groups: list[Group] = field(default_factory=list)

    def note(self, taken: Taken, prefix: str = "") -> None:
        """Keep the problems and names of one table."""
        self.problems += [f"{prefix}{row} {problem}" for row, problem in taken.problems.items()]
        self.known |= taken.names

"""What a look at a provider brings to light, said so that an operator can act on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_SHOWN = 120


class Verdict(StrEnum):
    """What a finding means: PROBLEM, it does not work; WARNING, it may not, or not as well as it could."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, with the mend where there is one. Printable, and without secrets."""

    verdict: Verdict
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.text}" + (f"; {self.mend}" if self.mend else "")


def shown(value: object) -> str:
    """What a stranger wrote, fit for a terminal."""
    text = value if isinstance(value, str) else "missing" if value is None else "no text"
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _LONGEST_SHOWN else plain[:_LONGEST_SHOWN] + "…"


def shown_address(url: str) -> str:
    """An address without its query, which may hold what is nobody's business."""
    return shown(url.partition("?")[0])

"""The display on standard error: what is under way, how many trials are done, deviations, and the time to the end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

_PAUSE = 5.0


@dataclass
class Progress:
    """`left` is the estimate of what is to be done yet, in seconds."""

    trials: int
    done: int = 0
    deviations: int = 0
    left: float = 0.0
    _shown: float = field(default=0.0)

    def step(self, where: str, deviations: tuple[str, ...]) -> None:
        """A trial is done."""
        self.done += 1
        for deviation in deviations:
            self.deviations += 1
            self._line(f"  ✗ {where}: {deviation}")
        if time.monotonic() - self._shown >= _PAUSE or self.done == self.trials:
            self.show(where)

    def show(self, where: str) -> None:
        """Say where we are."""
        self._shown = time.monotonic()
        minutes, seconds = divmod(int(self.left), 60)
        counted = f"{self.done:>5} of {self.trials} trials, {self.deviations} deviations"
        self._line(f"{counted}, {minutes}:{seconds:02} to go · {where}")

    def _line(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

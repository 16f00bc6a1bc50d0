"""Places at which a store process stops so that a test can do something to it: a folder that both sides look at.

The test closes the gate of a step; the first process that comes there says so and waits until the test opens it or
kills the process. Nothing in the product knows of this: the steps are those of `support.gated`'s adapters.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

VARIABLE = "CHAOS_GATES"
"""Names the folder in the environment of a store process."""

_PATIENCE = 60.0
_PAUSE = 0.002


class Step(StrEnum):
    """Where a refresh can be stopped, in the order in which it comes there."""

    BEFORE_SEND = "before-send"
    AFTER_ANSWER = "after-answer"
    BEFORE_SPOOL = "before-spool"
    AFTER_SPOOL = "after-spool"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates in one folder."""

    folder: Path

    def close(self, step: Step) -> None:
        """Let the next one that comes to this step wait there; whoever comes later passes."""
        self.folder.mkdir(exist_ok=True)
        self._named(step, "closed").touch()

    def wait(self, step: Step, seconds: float = 40) -> int:
        """The process that waits at the gate. Raises TimeoutError if none comes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for found in self.folder.glob(f"{step}.at.*"):
                return int(found.suffix[1:])
            time.sleep(_PAUSE)
        raise TimeoutError(f"nobody came to {step}")

    def open(self, step: Step) -> None:
        """Let whoever waits there go on, and whoever comes later pass."""
        self._named(step, "closed").unlink(missing_ok=True)
        for found in self.folder.glob(f"{step}.at.*"):
            found.unlink()

    def open_all(self) -> None:
        """Open every gate."""
        for step in Step:
            self.open(step)

    def come_to(self, step: Step) -> None:
        """Wait here if the gate is closed. For the store's side; never waits for longer than a minute."""
        at = self._named(step, f"at.{os.getpid()}")
        try:
            self._named(step, "closed").rename(at)
        except FileNotFoundError:
            return
        deadline = time.monotonic() + _PATIENCE
        while at.exists() and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        with suppress(FileNotFoundError):
            at.unlink()

    def note(self, step: Step) -> None:
        """Write down that this step was passed just now. For the store's side."""
        with self._named(step, "times").open("a") as file:
            file.write(f"{time.time()}\n")

    def noted(self, step: Step) -> list[float]:
        """When the step was passed, in seconds since the epoch."""
        times = self._named(step, "times")
        return [float(line) for line in times.read_text().splitlines()] if times.exists() else []

    def complain(self, of: str) -> None:
        """Write down something that must not be. For the store's side."""
        with (self.folder / "complaints").open("a") as file:
            file.write(f"{of}\n")

    def complaints(self) -> list[str]:
        """What must not be and was."""
        path = self.folder / "complaints"
        return path.read_text().splitlines() if path.exists() else []

    def _named(self, step: Step, what: str) -> Path:
        return self.folder / f"{step}.{what}"


def from_environment() -> Gates:
    """The gates of this process. Raises KeyError if it was told of none."""
    return Gates(Path(os.environ[VARIABLE]))

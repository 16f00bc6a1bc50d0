"""The journal: one line of JSON per finished trial, so that a run that was broken off goes on where it was.

A line counts only for the sources it was made with: after a change of the product everything is tried anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.trials import Finding


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished trial."""

    battery: str
    cell: str
    trial: int
    seconds: float
    finding: Finding


class Journal:
    """The file, and what it says of the present sources."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._entries: list[Entry] = []
        if path.exists():
            self._entries = [_entry(line) for line in _lines(path) if line["source"] == source]

    def entries(self, battery: str, cell: str | None = None) -> list[Entry]:
        """The finished trials of a battery, of one cell if given."""
        return [one for one in self._entries if one.battery == battery and cell in (None, one.cell)]

    def add(self, entry: Entry) -> None:
        """Keep a trial, at once."""
        self._entries.append(entry)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({**asdict(entry), "source": self._source}) + "\n")

    def forget(self, batteries: Collection[str]) -> None:
        """Take the trials of these batteries out."""
        self._entries = [one for one in self._entries if one.battery not in batteries]
        if self._path.exists():
            kept = [line for line in _lines(self._path) if line["battery"] not in batteries]
            self._path.write_text("".join(json.dumps(line) + "\n" for line in kept))


def fingerprint(folders: Iterable[Path]) -> str:
    """A short name for the sources in these folders, another one after each change."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _lines(path: Path) -> list[dict[str, object]]:
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # broken off in the middle of a line
    return found


def _entry(line: dict[str, object]) -> Entry:
    finding = line["finding"]
    assert isinstance(finding, dict)
    read = Finding(tuple(finding["deviations"]), finding["figures"])
    battery, cell, trial, seconds = line["battery"], line["cell"], line["trial"], line["seconds"]
    return Entry(str(battery), str(cell), int(str(trial)), float(str(seconds)), read)

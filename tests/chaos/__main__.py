"""`make chaos`: races, kills and faults at full length. Goes on where it was broken off; ends with 1 on any deviation.

Nothing here is a test: `make test` runs a short form of each battery from `tests/integration`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from chaos import (  # noqa: E402  (this folder is run as a program; the path is set above)
    answers,
    databases_away,
    disks,
    isolation,
    kills,
    nodes,
    races,
    refusals,
    relinks,
    services,
    stops,
    unlinks,
    walks,
)
from chaos.databases import Databases  # noqa: E402
from chaos.journal import Entry, Journal, fingerprint  # noqa: E402
from chaos.page import page, table  # noqa: E402
from chaos.progress import Progress  # noqa: E402
from chaos.trials import Battery, Cell, Finding, Trial  # noqa: E402

PARTS = (
    races,
    walks,
    kills,
    stops,
    databases_away,
    disks,
    answers,
    refusals,
    unlinks,
    relinks,
    nodes,
    services,
    isolation,
)
BATTERIES: tuple[Battery, ...] = tuple(battery for part in PARTS for battery in part.BATTERIES)
PAGE = PROJECT / "docs/reference/chaos.md"
JOURNAL = PROJECT / "build/chaos/journal.jsonl"
START_SECONDS = 8.0
"""What setting a cell up takes, roughly."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not done yet; returns the exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # also where the shell had it ignored
    chosen = [battery for battery in BATTERIES if battery.id in (options.only or [battery.id])]
    journal = Journal(JOURNAL, fingerprint([PROJECT / "src", PROJECT / "migrations"]))
    if options.fresh:
        journal.forget([battery.id for battery in chosen])
    todo = [
        (battery, cell, _left(journal, battery, cell, options.scale)) for battery in chosen for cell in battery.cells
    ]
    progress = Progress(sum(len(left) for _, _, left in todo))
    print(_scaling(chosen, options.scale), file=sys.stderr)
    try:
        with Databases() as databases:
            for position, (battery, cell, left) in enumerate(todo):
                progress.left = sum(_estimate(journal, *one) for one in todo[position:])
                run_cell(databases, battery, cell, left, journal, progress)
    except KeyboardInterrupt:
        print("broken off; the next run goes on from here", file=sys.stderr)
        return 130
    print(table(chosen, journal))
    if not options.only:
        spent = sum(entry.seconds for battery in BATTERIES for entry in journal.entries(battery.id))
        PAGE.write_text(page(BATTERIES, journal, spent))
    return 1 if any(entry.finding.deviations for one in chosen for entry in journal.entries(one.id)) else 0


def run_cell(
    databases: Databases, battery: Battery, cell: Cell, left: Sequence[int], journal: Journal, progress: Progress
) -> None:
    """The trials of a cell that are left. One that fails by itself is a deviation, and everything is set up anew.

    Where it cannot be set up, that is the one deviation and its trials stay undone.
    """
    where, pending = f"{battery.id} {cell.name}", list(left)

    def done(number: int, began: float, finding: Finding) -> None:
        load, seconds = os.getloadavg()[0], time.monotonic() - began
        if finding.deviations and load > 2 * (os.cpu_count() or 1):
            busy = f"while the machine was busy with other things (load {load:.0f})"
            finding = replace(finding, deviations=(*finding.deviations, busy))
        journal.add(Entry(battery.id, cell.name, number, seconds, finding))
        progress.left = max(0.0, progress.left - seconds)
        progress.step(where, finding.deviations)

    while pending:
        progress.show(where)
        with ExitStack() as opened:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True))
            began = time.monotonic()
            try:
                trial = opened.enter_context(cell.opened(databases, Path(folder)))
            except Exception as error:  # noqa: BLE001  (whatever it is, it is what there is to tell)
                done(pending[0], began, Finding((f"could not be set up: {_told(error)}",)))
                return
            whole = True
            while pending and whole:
                began = time.monotonic()
                finding, whole = _tried(trial, pending[0])
                done(pending.pop(0), began, finding)


def _tried(trial: Trial, number: int) -> tuple[Finding, bool]:
    """What a trial showed, and whether it came to its end."""
    try:
        return trial(number), True
    except Exception as error:  # noqa: BLE001  (as above)
        return Finding((f"broke off: {_told(error)}",)), False


def _told(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    [first, *_] = [*str(error).splitlines(), ""]
    return f"{type(error).__name__}: {first[:300]} ({Path(place.filename).name}:{place.lineno})"


def _left(journal: Journal, battery: Battery, cell: Cell, scale: float) -> list[int]:
    done = {entry.trial for entry in journal.entries(battery.id, cell.name)}
    return [number for number in range(_scaled(cell, scale)) if number not in done]


def _scaled(cell: Cell, scale: float) -> int:
    return max(1, round(cell.trials * scale))


def _estimate(journal: Journal, battery: Battery, cell: Cell, left: Sequence[int]) -> float:
    known = [entry.seconds for entry in journal.entries(battery.id, cell.name)]
    each = sum(known) / len(known) if known else cell.seconds
    return len(left) * each + (START_SECONDS if left else 0)


def _scaling(batteries: Sequence[Battery], scale: float) -> str:
    lines, total = [f"scale {scale:g}; trials at full length → now"], 0.0
    for battery in batteries:
        full, now = sum(cell.trials for cell in battery.cells), sum(_scaled(cell, scale) for cell in battery.cells)
        minutes = sum(_scaled(cell, scale) * cell.seconds + START_SECONDS for cell in battery.cells) / 60
        total += minutes
        lines.append(f"  {battery.id:<12} {full:>5} → {now:<5} about {minutes:.1f} min")
    lines.append(f"  about {total:.0f} min in all, on two processors that nobody else uses")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/chaos", description=__doc__)
    parser.add_argument("--only", action="append", metavar="ID", choices=[battery.id for battery in BATTERIES])
    parser.add_argument("--scale", type=float, default=1.0, help="part of the trials of full length")
    parser.add_argument("--fresh", action="store_true", help="forget what is done of the chosen batteries")
    return parser


if __name__ == "__main__":
    sys.exit(main())

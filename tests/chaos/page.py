"""The table of all batteries, for the terminal and for the documentation."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

from chaos.journal import Entry, Journal
from chaos.trials import Battery

WEAK = """\
- Loopback has no packet loss, no jitter and no partitions in one direction. A killed process is not a machine without
  power: what a disk does with a write it has confirmed is not tried here. PostgreSQL runs with `fsync=off`, which a
  killed server survives and a power cut would not.
- A database that stands still is one whose processes are stopped (F-DB). A disk that answers no more and a network that
  swallows packets look the same to the store, and were not tried.
- A full disk is tried by a limit on the size of files, which the store is told of in the same way. The files of
  `/metrics`, which are mapped into memory, take their room on the disk before anything is counted in them.
- Time passes for links by moving their instants back, so that nobody has to wait for leases and pauses. Breakers go
  five times as fast where a battery needs them.
- Links are made by the store's own classes, as after a journey; journeys and several tabs are raced in
  `tests/integration/test_link_races.py`. There is no run of hours, for memory and descriptors; lease and fence are
  walked exhaustively as a model, in `tests/unit/core/test_lease_model.py`.
- F-RACE3 walks in one process, on clocks that are moved, stops before calls of ports and not within them, and reseals
  nothing. It excuses a link whose grant is ended, where revoking a token ends all of it, between a linking's code and
  its storing. The store finds an unlinking in between by the time that has passed, of which these clocks tell it
  nothing (`tests/integration/test_shared_grants.py` shows it), and does not find another tab's failed linking.
- Tried in no battery: a database that has become read-only; files in the spool that are cut short, of another machine,
  older than the link, or replayed twice (one by one: `tests/unit/store/test_spool_places.py` and
  `tests/unit/core/test_refresh_spool.py`); a bad certificate, a name that does not resolve, and an answer that unpacks
  to many times its size (certificate and size: `tests/security/test_provider_transport.py`); a clock of our own that
  is 10 min off or jumps back (here it is 5 min off all the time); a database restored from a backup while its provider
  is in quarantine already.
- F-RACE1 counts answers and provider calls and says how long the last answer took; it sets no bound to the p99."""


def table(batteries: Sequence[Battery], journal: Journal) -> str:
    """A row for each battery and a list of deviations."""
    rows = ["| battery | what is done | expected | trials | deviations | seen |", "|---|---|---|---|---|---|"]
    deviations: list[str] = []
    for battery in batteries:
        entries, wanted = journal.entries(battery.id), sum(cell.trials for cell in battery.cells)
        failed = [entry for entry in entries if entry.finding.deviations]
        trials = f"{len(entries):,}" if len(entries) >= wanted else f"{len(entries):,} of {wanted:,}"
        rows.append(
            f"| {battery.id} | {battery.what} | {battery.expected} | {trials} | {len(failed)} | {_figures(entries)} |"
        )
        for entry in failed:
            deviations += [
                f"- {battery.id}, {entry.cell}, trial {entry.trial}: {one}" for one in entry.finding.deviations
            ]
    return "\n".join([*rows, *(["", "Deviations:", "", *deviations] if deviations else [])])


def page(batteries: Sequence[Battery], journal: Journal, seconds: float) -> str:
    """The page for the documentation."""
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    wanted = sum(cell.trials for battery in batteries for cell in battery.cells)
    made = sum(len(journal.entries(battery.id)) for battery in batteries)
    part = "at full length" if made >= wanted else f"{made:,} of the {wanted:,} trials of full length"
    return f"""# Chaos

Written by `make chaos` on {datetime.now(UTC):%Y-%m-%d}: races, kills and faults against the store as
`deploy/gunicorn.conf.py` serves it, with providers and databases in processes of their own. `make test` runs a short
form of each. This run: {part}, in {seconds / 60:.0f} minutes. Where fewer trials of a battery were made than belong to
a full run, both numbers are given. Figures are medians, in brackets the largest.

{table(batteries, journal)}

Machine: {machine}.

## What is weak

{WEAK}
"""


def _figures(entries: Sequence[Entry]) -> str:
    """Median and largest of each figure over all trials."""
    names = list(dict.fromkeys(name for entry in entries for name in entry.finding.figures))
    told = []
    for name in names:
        values = [entry.finding.figures[name] for entry in entries if name in entry.finding.figures]
        told.append(f"{name} {_short(statistics.median(values))} ({_short(max(values))})")
    return ", ".join(told)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

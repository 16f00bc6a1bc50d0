"""F-RACE3: random walks over all that can happen to links, in one process, with interleavings that can be repeated."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chaos.databases import Databases, Kind
from chaos.trials import Battery, Cell, Finding, Trial
from support.walk.machine import walk
from support.walk.world import stage

RUNS = 25
"""Walks in a trial. Those of a trial are always the same."""


@contextmanager
def walking(database_url: str, home: Path, *, rotation: str, revokes_grant: bool, runs: int) -> Iterator[Trial]:
    """So many walks a trial, at a provider of this kind."""
    with stage(database_url, home) as at, silence():

        def trial(number: int) -> Finding:
            try:
                walk(at, rotation, revokes_grant=revokes_grant, runs=runs, number=number)
            except AssertionError as error:
                told = " · ".join([str(error), *getattr(error, "__notes__", [])])
                return Finding((" ".join(told.split()),))
            return Finding()

        yield trial


@contextmanager
def silence() -> Iterator[None]:
    """No log: what befalls these links is told by the walk."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _on(kind: Kind, rotation: str, revokes_grant: bool, databases: Databases, home: Path) -> Iterator[Trial]:
    with (
        databases.empty(kind, home) as url,
        walking(url, home, rotation=rotation, revokes_grant=revokes_grant, runs=RUNS) as trial,
    ):
        yield trial


def _cell(kind: Kind, rotation: str, revocation: str, trials: int) -> Cell:
    opened = partial(_on, kind, rotation, revocation == "grant")
    return Cell(f"{kind}, {rotation}, REVOCATION={revocation}", trials, RUNS * 0.25, opened)


_CELLS: Sequence[tuple[Kind, str, str, int]] = (
    ("SQLite", "strict", "token", 20),
    ("SQLite", "strict", "grant", 20),
    ("SQLite", "grace", "token", 12),
    ("SQLite", "grace", "grant", 8),
    ("SQLite", "keep-old", "token", 4),
    ("SQLite", "none", "grant", 4),
    ("PostgreSQL", "strict", "token", 6),
    ("PostgreSQL", "grace", "grant", 6),
)
"""On what, ROTATION, REVOCATION, trials."""

BATTERIES = (
    Battery(
        "F-RACE3",
        f"random walks of 25 steps, {RUNS} in a trial, by two people, three processes and two machines: tokens asked "
        "for, accounts unlinked and linked again, another linked, all of it stopped before any call of a port and gone "
        "on with in any order, processes killed there, answers lost or useless, false refusals, time, keepers",
        "nobody is given another's token or one after an unlinking; no used token is sent again, and no link is lost, "
        "but where nobody can prevent it; after drain each link gives tokens and no other refresh token lives",
        [_cell(*cell) for cell in _CELLS],
    ),
)

"""The short form of the kills and stops in `tests/chaos`: a process dies at each step of a refresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.kills import Death, deaths, dying
from chaos.stops import stopping
from demo.config import Rotation
from support.chaos import without_deviation

pytestmark = pytest.mark.timeout(300)


def numbers(rotation: Rotation, *wanted: Death) -> list[int]:
    """The trials in which these deaths are died."""
    return [deaths(rotation).index(death) for death in wanted]


def test_a_strict_link_survives_a_killed_process_but_for_the_window(postgres_url: str, tmp_path: Path) -> None:
    with dying(postgres_url, tmp_path, rotation="strict", workers=2) as trial:
        ways = (Death.AFTER_ANSWER, Death.AFTER_SPOOL, Death.BEFORE_COMMIT, Death.AFTER_COMMIT)
        without_deviation(trial, numbers("strict", *ways))


def test_a_link_survives_a_killed_process_within_the_window_where_there_is_a_grace(
    sqlite_url: str, tmp_path: Path
) -> None:
    with dying(sqlite_url, tmp_path, rotation="grace", workers=2) as trial:
        without_deviation(trial, numbers("grace", Death.BEFORE_SPOOL))


def test_an_orderly_stop_waits_for_refreshes(sqlite_url: str, tmp_path: Path) -> None:
    with stopping(sqlite_url, tmp_path, links=4) as trial:
        without_deviation(trial, [0])

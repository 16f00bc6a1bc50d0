"""The short form of the faults in `tests/chaos`: databases, disks, providers and machines that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.answers import CUT_OFF, NOTHING_DONE, ROTATED, odd_answers
from chaos.databases_away import on_postgres
from chaos.disks import filling
from chaos.nodes import losing
from chaos.refusals import refusing
from chaos.relinks import relinking
from chaos.unlinks import interleaving
from demo.config import Rotation
from demo.knobs import Fault
from support.chaos import without_deviation
from support.postgres import running_postgres

pytestmark = pytest.mark.timeout(300)


def test_a_database_that_goes_away_between_answer_and_commit_costs_nothing(tmp_path: Path) -> None:
    with running_postgres() as server, on_postgres(server, tmp_path, workers=1) as trial:
        without_deviation(trial, [1, 4])


def test_a_full_disk_stops_refreshes_before_anything_is_sent(postgres_url: str, tmp_path: Path) -> None:
    with filling(postgres_url, tmp_path, workers=1) as trial:
        without_deviation(trial, [0, 3])


def test_odd_answers_break_no_link(sqlite_url: str, tmp_path: Path) -> None:
    wanted = {Fault.DROP_BEFORE, Fault.REDIRECT, Fault.HUGE_BODY}
    odds = [odd for odd in NOTHING_DONE if odd.faults[0][0] in wanted]
    odds += [odd for odd in ROTATED if odd.faults and odd.faults[0][0] in {Fault.TOKEN_TYPE, Fault.NO_REFRESH_TOKEN}]
    with odd_answers(sqlite_url, tmp_path, odds=odds, workers=1) as trial:
        without_deviation(trial, range(len(odds)))


def test_an_answer_that_is_cut_off_costs_nothing_where_there_is_a_grace(sqlite_url: str, tmp_path: Path) -> None:
    with odd_answers(sqlite_url, tmp_path, odds=CUT_OFF[:2], rotation="grace", workers=1) as trial:
        without_deviation(trial, range(2))


def test_a_provider_that_refuses_everybody_breaks_no_link(sqlite_url: str, tmp_path: Path) -> None:
    with refusing(sqlite_url, tmp_path, links=40, workers=1) as trial:
        without_deviation(trial, range(2))


def test_unlinking_and_linking_again_during_a_refresh_leave_nothing_behind(postgres_url: str, tmp_path: Path) -> None:
    with interleaving(postgres_url, tmp_path, revocation="grant", workers=1) as trial:
        without_deviation(trial, [0, 6, 9, 16])


def test_linking_again_during_a_refresh_leaves_no_token_where_revoking_ends_it_alone(
    sqlite_url: str, tmp_path: Path
) -> None:
    with interleaving(sqlite_url, tmp_path, revocation="token", workers=1) as trial:
        without_deviation(trial, [1, 5, 6, 9, 10, 17])


def test_no_reader_gets_a_token_from_before_an_unlinking(sqlite_url: str, tmp_path: Path) -> None:
    with relinking(sqlite_url, tmp_path) as trial:
        without_deviation(trial, [0])


@pytest.mark.parametrize("rotation", ["strict", "grace"])
def test_the_answer_in_the_spool_of_a_dead_machine_is_waited_for(
    postgres_url: str, tmp_path: Path, rotation: Rotation
) -> None:
    with losing(postgres_url, tmp_path, rotation=rotation, grace=3) as trial:
        without_deviation(trial, [0])

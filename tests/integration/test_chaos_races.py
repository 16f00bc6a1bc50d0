"""The short form of the races in `tests/chaos`: many callers over several processes cause one refresh per token."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.races import many_links, one_link, variants
from support.chaos import without_deviation

pytestmark = pytest.mark.timeout(300)


def test_a_herd_for_one_ended_token_causes_one_provider_call(sqlite_url: str, tmp_path: Path) -> None:
    with one_link(sqlite_url, tmp_path, callers=300, latency=0.05, workers=2) as trial:
        without_deviation(trial, [0])


def test_a_herd_for_many_ended_tokens_causes_one_provider_call_each(postgres_url: str, tmp_path: Path) -> None:
    with many_links(postgres_url, tmp_path, links=20, callers=10, nodes=2, workers=1) as trial:
        without_deviation(trial, [0])


def test_variants_of_a_link_are_refreshed_one_after_another(sqlite_url: str, tmp_path: Path) -> None:
    with variants(sqlite_url, tmp_path, workers=2) as trial:
        without_deviation(trial, [0])

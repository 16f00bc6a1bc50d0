"""The short form of F-RACE3 in `tests/chaos`: random walks over all that can happen to links."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.walks import walking
from support.chaos import without_deviation

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("rotation", "revokes_grant"),
    [("strict", False), ("strict", True), ("grace", False)],
    ids=["strict", "strict, revoking ends the grant", "grace"],
)
def test_whatever_happens_to_links_none_is_lost_and_none_comes_back(
    sqlite_url: str, tmp_path: Path, rotation: str, revokes_grant: bool
) -> None:
    with walking(sqlite_url, tmp_path, rotation=rotation, revokes_grant=revokes_grant, runs=20) as trial:
        without_deviation(trial, [0])

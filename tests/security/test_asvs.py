"""The list of ASVS requirements and the tests that are marked with one of its rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROWS = json.loads((Path(__file__).parent / "data" / "asvs.json").read_text(encoding="utf-8"))
_MARKER = re.compile(r"mark\.asvs\(([^)]*)\)")
_NUMBER = re.compile(r"\d+\.\d+\.\d+")


def marked() -> set[str]:
    """The requirement that every marker names; a marker is a literal with one of them."""
    found = {argument for path in TESTS.rglob("*.py") for argument in _MARKER.findall(path.read_text(encoding="utf-8"))}
    return {argument.strip('"') for argument in found}


def test_every_marker_names_a_row_of_the_list() -> None:
    assert marked() <= {row["id"] for row in ROWS}


def test_markers_are_found() -> None:
    assert len(marked()) >= 30


def test_every_requirement_has_one_row_with_a_number() -> None:
    numbers = [row["id"] for row in ROWS]

    assert all(_NUMBER.fullmatch(number) for number in numbers)
    assert len(set(numbers)) == len(numbers)

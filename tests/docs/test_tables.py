"""The page on the architecture lists the tables that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tokenstore.store.tables import metadata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "architecture.md"


def test_the_tables_listed_are_those_of_the_database() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## What is in the database\n")[2].partition("\n## ")[0]
    listed = [
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(listed) == sorted(metadata.tables)

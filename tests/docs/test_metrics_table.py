"""The table of metrics names every metric that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tokenstore.web.counters import Counters

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "deploy.md"


def test_the_table_names_exactly_the_metrics_that_are_counted() -> None:
    rows = re.findall(r"^\| (`tokenstore_.+?`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(listed) == sorted(re.findall(r"^# HELP (\w+) ", Counters().page().decode(), re.MULTILINE))

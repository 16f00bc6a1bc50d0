"""The page of events lists every action that the code writes, with its outcome, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tokenstore
from tokenstore.store.tables import audit_event

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "events.md"
SOURCES = Path(tokenstore.__file__).parent


def written_events() -> Iterator[tuple[str, str]]:
    """Action and outcome of every AuditEvent that the sources make; both stand there as literals."""
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AuditEvent":
                action, outcome = (ast.literal_eval(argument) for argument in node.args[:2])
                yield action, outcome


def test_page_lists_exactly_the_actions_that_the_code_writes() -> None:
    listed = re.findall(r"^\| `([a-z.-]+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted(set(written_events()))


def test_page_names_every_column_of_the_table() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert {column.name for column in audit_event.c} - {"id"} <= named

"""The typing of settings, from text and from Python values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tokenstore.core.secret import Secret
from tokenstore.core.settings import Kind, fill, parse, rows, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with one row of each kind."""

    name: str = setting("nobody", "A text.", heading="First", choices=("nobody", "somebody"))
    note: str | None = setting(None, "A text that may be missing.")
    seconds: int = setting(5, "A number.", least=1, most=10, heading="Second")
    wanted: bool = setting(False, "A switch.")
    hosts: tuple[str, ...] = setting(("a",), "A list.", check=lambda hosts: "holds b" if "b" in hosts else None)
    options: Mapping[str, Any] = setting({}, "A mapping.")
    key: Secret = setting(Secret(""), "A secret.")  # noqa: RUF009 - a Secret never changes
    address: str = setting("", "A text that is a secret.", secret=True)


ROWS = {row.name: row for row in rows(Table)}


def test_rows_follow_the_fields_and_inherit_the_heading_above() -> None:
    assert [(row.name, row.kind, row.heading) for row in rows(Table)][:3] == [
        ("NAME", Kind.TEXT, "First"),
        ("NOTE", Kind.TEXT, "First"),
        ("SECONDS", Kind.INTEGER, "Second"),
    ]


def test_secret_rows_are_not_in_the_repr() -> None:
    table, _ = fill(Table, {"KEY": "hidden", "ADDRESS": "hidden"})
    assert "hidden" not in repr(table)


@pytest.mark.parametrize(
    ("row", "value", "typed"),
    [
        ("SECONDS", "7", 7),
        ("SECONDS", "007", 7),
        ("SECONDS", "0o10", 8),
        ("SECONDS", " 3 ", 3),
        ("SECONDS", 4, 4),
        ("SECONDS", None, 5),
        ("WANTED", "Yes", True),
        ("WANTED", "off", False),
        ("WANTED", 1, True),
        ("HOSTS", "x, y,", ("x", "y")),
        ("HOSTS", '["x", "y"]', ("x", "y")),
        ("HOSTS", ["x"], ("x",)),
        ("HOSTS", "", ()),
        ("OPTIONS", '{"a": 1}', {"a": 1}),
        ("OPTIONS", {"a": 1}, {"a": 1}),
        ("NOTE", "", ""),
        ("KEY", b"bytes\xff", Secret("bytes\xff")),
    ],
)
def test_value_is_typed_by_its_row(row: str, value: object, typed: object) -> None:
    assert parse(ROWS[row], value) == typed


@pytest.mark.parametrize(
    ("row", "value", "words"),
    [
        ("SECONDS", "soon", "whole number"),
        ("SECONDS", "1.5", "whole number"),
        ("SECONDS", True, "whole number"),
        ("SECONDS", "", "whole number"),
        ("SECONDS", 0, "the least is 1"),
        ("SECONDS", "11", "the most is 10"),
        ("WANTED", "maybe", "true or false"),
        ("WANTED", 2, "true or false"),
        ("HOSTS", 3, "list of texts"),
        ("HOSTS", [3], "list of texts"),
        ("HOSTS", "[x", "no JSON"),
        ("HOSTS", "a, b", "holds b"),
        ("OPTIONS", "a=1", "no JSON"),
        ("OPTIONS", "[1]", "mapping"),
        ("NAME", 3, "has to be text"),
        ("NAME", "anybody", "nobody, somebody"),
        ("KEY", 3, "has to be text"),
    ],
)
def test_wrong_value_is_told_in_words(row: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(ROWS[row], value)


def test_fill_reports_every_wrong_row_and_keeps_its_default() -> None:
    table, problems = fill(Table, {"SECONDS": "soon", "WANTED": "maybe", "NAME": "somebody", "OTHER": 1})
    assert sorted(problems) == ["SECONDS", "WANTED"]
    assert (table.seconds, table.wanted, table.name) == (5, False, "somebody")

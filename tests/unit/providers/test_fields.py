from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.providers.fields import lookup, shown_text, subject_text

CLAIMS: dict[str, Any] = {"a": {"b": {"c": 1}}, "a.x": 2, "https://ns.example/id": 3, "n": None, "l": [1]}


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b.c", 1), ("a.x", 2), ("https://ns.example/id", 3), ("n", None), ("n.m", None), ("l.0", None), ("z", None)],
)
def test_a_dotted_path_is_followed_and_a_whole_name_wins(path: str, value: object) -> None:
    assert lookup(CLAIMS, path) == value


@pytest.mark.parametrize(
    ("value", "text"), [("alice", "alice"), (7, "7"), (2**70, str(2**70)), ("0000-0002", "0000-0002")]
)
def test_a_subject_is_text_or_a_number(value: object, text: str) -> None:
    assert subject_text(value) == text


@pytest.mark.parametrize("value", [None, "", " ", True, 7.0, [7], {"id": 7}, "a\nb", "a\0", "x" * 256, "a\u202eb"])
def test_what_is_no_subject_is_none(value: object) -> None:
    assert subject_text(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" Ada\u202e Lovelace\n", "Ada Lovelace"),
        ("", None),
        ("\0", None),
        (7, None),
        (None, None),
        ("x" * 9999, "x" * 200),
    ],
)
def test_a_name_is_made_fit_to_show(value: object, text: str | None) -> None:
    assert shown_text(value) == text


@given(st.text())
def test_whatever_is_shown_is_short_and_printable(value: str) -> None:
    text = shown_text(value)
    assert text is None or (text.isprintable() and 0 < len(text) <= 200)

"""JSON text: ASCII, on one line, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenstore.web.jsontext import json_text


@pytest.mark.parametrize(
    "value",
    [
        {"access_token": "x", "expires_in": None, "cached": True, "extra": {"list": [1, 2.5]}},
        {"name": "Zoë", "line": "a\u2028b\u0085c\nd"},
        "half of a pair: \ud800",
        {"large": 2**70, "negative": -(2**70)},
    ],
)
def test_a_value_comes_back_whole_from_one_line_of_ascii(value: Any) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert len(text.splitlines()) == 1

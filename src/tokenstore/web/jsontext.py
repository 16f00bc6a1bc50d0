"""JSON text in ASCII, made by the faster of two libraries where it can."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encode_fast = msgspec.json.Encoder().encode
_encode_anything = json.JSONEncoder().encode


def json_text(value: Any) -> str:
    """The value as JSON on one line; what is not ASCII is escaped, so that nothing in it can begin another line."""
    try:
        made = _encode_fast(value)
    except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair, a number of more than 64 bits
        return _encode_anything(value)
    return made.decode() if made.isascii() else _encode_anything(value)

"""Text of callers and providers, made such that every database takes it."""

from __future__ import annotations

import re

LONGEST = 1000
"""Characters kept of a text that is only for people to read."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str | None, most: int = LONGEST) -> str | None:
    """The text, cut, with a replacement character for each U+0000 (PostgreSQL) and unpaired surrogate (no UTF-8)."""
    return None if text is None else _UNSTORABLE.sub("\ufffd", text[:most])

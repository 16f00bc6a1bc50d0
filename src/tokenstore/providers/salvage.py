"""The refresh token in an answer that is otherwise useless: the one thing that must not be lost with it.

A provider that rotates has ended the old token by answering, however badly it answers. So this reader is lenient
where `strict_json` is not; nothing else may be taken from such an answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tokenstore.core.secret import Secret

_TOKEN = re.compile(r"[ -~]{1,8192}")
_MEMBER = "refresh_token"


class _Ambiguous(ValueError):
    """The member comes twice with different values."""


def salvaged_refresh_token(body: bytes) -> Secret | None:
    """A well-formed `refresh_token` among the members of the object that a body begins with; never raises.

    Byte order mark, bytes that are no UTF-8, NaN, other duplicate members and text after the object are passed over.
    None if there is no such member, or two that differ.
    """
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        members, _ = json.JSONDecoder(object_pairs_hook=_members).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    value = members.get(_MEMBER) if isinstance(members, dict) else None
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = [value for name, value in pairs if name == _MEMBER]
    if any(value != found[0] for value in found[1:]):
        raise _Ambiguous
    return dict(pairs)

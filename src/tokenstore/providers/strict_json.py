"""JSON from strangers, read strictly: one object, no duplicate members, no NaN, limited depth.

Owns the parsing only; size is capped by the transport before a body comes here, meaning is judged by the readers.
"""

from __future__ import annotations

import json
from typing import Any, Never

MAX_DEPTH = 32


class BadJson(ValueError):
    """The text is no JSON object that we are willing to read."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The object that a body holds, nested at most MAX_DEPTH levels; raises BadJson otherwise.

    Duplicate members are refused because two readers may choose differently (RFC 8259 section 4), lone surrogates
    because no database or log can hold them. A number too large for a float is infinity.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
        _check_nodes(value)
    except (ValueError, RecursionError):
        # Not chained: the cause quotes the body, which must not reach a log.
        raise BadJson("not a JSON object that can be accepted") from None
    if not isinstance(value, dict):
        raise BadJson("not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _check_nodes(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for node in level:
            if isinstance(node, str):
                node.encode()
            elif isinstance(node, dict):
                below += [*node.keys(), *node.values()]
            elif isinstance(node, list):
                below += node
        if not below:
            return
        level = below
    raise ValueError("nested too deeply")

"""Reading single fields out of claims and answers: dotted paths, account subjects, names to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_SUBJECT = 255
_MAX_SHOWN = 200


def lookup(members: Mapping[str, Any], path: str) -> object:
    """The value at a dotted path, None if there is none. A member named by the whole path wins over nesting."""
    if path in members:
        return members[path]
    node: object = members
    for name in path.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
    return node


def scope_names(text: str, separator: str) -> tuple[str, ...]:
    """The words of a scope text, split at spaces and at each character of the separator, in order and each once."""
    return tuple(dict.fromkeys(text.translate(dict.fromkeys(map(ord, separator), " ")).split()))


def subject_text(value: object) -> str | None:
    """An account's stable id as text, or None if the value is no id.

    Integers become text (GitHub); booleans and floats are no ids. Text is at most 255 characters (OIDC Core section
    2) and taken as it is, so it must be printable: no account has two spellings.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT:
        return None
    return value if value.isprintable() and not value.isspace() else None


def shown_text(value: object) -> str | None:
    """A name or e-mail address fit to show: printable, trimmed and cut at 200 characters; None if nothing is left."""
    if not isinstance(value, str):
        return None
    printable = "".join(character for character in value[: 4 * _MAX_SHOWN] if character.isprintable())
    return printable.strip()[:_MAX_SHOWN] or None

"""A text that must not be seen: the one type in which secrets travel from the wire to the vault."""

from __future__ import annotations

import hmac
from typing import Never


class Secret:
    """Holds a secret text; prints masked, refuses pickling, copies nothing.

    `reveal()` is the only way out, so that every use can be searched for. Equality is constant-time; a
    Secret is unhashable, so that it is never a dictionary key.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the wire and the vault only."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, others = (text.encode("utf-8", "surrogatepass") for text in (self._text, other._text))
        return hmac.compare_digest(mine, others)

    __hash__ = None  # type: ignore[assignment]  # the documented way to make a type unhashable

    def __reduce__(self) -> Never:
        raise TypeError("a Secret cannot be pickled or copied")

"""Reading requests: query parameters and JSON bodies into values, every problem of a request at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import request

from tokenstore.core.model import Asked, LinkId
from tokenstore.core.tokens import MIN_VALID
from tokenstore.errors import FieldProblem, InvalidRequest

MIN_VALID_MOST = 86_400
"""Seconds; a larger `min_valid` is refused."""

TEXT_MOST = 2048
"""Characters of the longest text that a parameter may be."""

TEXTS_MOST = 16
"""Texts of the longest list."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a caller of the token endpoint wants."""

    link_id: LinkId | None
    asked: Asked
    min_valid: timedelta
    force: bool


PLAIN = TokenRequest(None, Asked(), MIN_VALID, force=False)
"""A token request without parameters, which most are."""


class Problems:
    """Collects what is wrong with a request."""

    def __init__(self) -> None:
        self._found: list[FieldProblem] = []

    def add(self, name: str, detail: str) -> None:
        """Note a problem with the parameter or member `name`."""
        self._found.append(FieldProblem(name, detail))

    def raise_if_any(self) -> None:
        """Raise InvalidRequest with all problems found."""
        if self._found:
            raise InvalidRequest("Some parameters are not valid; see errors.", errors=self._found)


def token_request() -> TokenRequest:
    """The token request of the current GET (query) or POST (JSON object). Raises InvalidRequest."""
    values = json_object() if request.method == "POST" else query_values()
    if not values:
        return PLAIN
    problems = Problems()
    unknown = values.keys() - {"min_valid", "link", "force", "scope", "audience", "resource"}
    for name in sorted(unknown):
        problems.add(name, "is not a parameter of this call")
    parsed = TokenRequest(
        link_id(values, problems),
        Asked(
            scopes=frozenset((one_text(values, "scope", problems) or "").split()),
            audience=one_text(values, "audience", problems),
            resources=texts(values, "resource", problems),
        ),
        min_valid(values, problems),
        force=flag(values, "force", problems),
    )
    problems.raise_if_any()
    return parsed


def query_values() -> dict[str, object]:
    """The query parameters, each as a list of its values."""
    if not request.query_string:
        return {}  # as of most requests; parsing nothing costs more than asking
    return {name: request.args.getlist(name) for name in request.args}


def json_object() -> dict[str, object]:
    """The JSON object of the request's body, empty if there is no body. Raises InvalidRequest."""
    # Not by looking at the body: reading the form, as the check of its origin does, leaves nothing to look at.
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return {}
    try:
        value = request.get_json(silent=True) if request.is_json else None
    except RecursionError:  # nested deeper than any request of ours
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest("Send a JSON object with Content-Type: application/json.")
    return value


def one(values: dict[str, object], name: str, problems: Problems) -> object:
    """The single value of `name`, None if it is not there."""
    value = values.get(name)
    if isinstance(value, list) and request.method != "POST":
        if len(value) > 1:
            problems.add(name, "may be given once")
        return value[0]
    return value


def one_text(values: dict[str, object], name: str, problems: Problems) -> str | None:
    """A text of at most TEXT_MOST printable characters, None if absent, null or empty."""
    value = one(values, name, problems)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > TEXT_MOST or not value.isprintable():
        problems.add(name, f"must be a text of at most {TEXT_MOST} printable characters")
        return None
    return value


def texts(values: dict[str, object], name: str, problems: Problems) -> tuple[str, ...]:
    """A text or a list of texts; RFC 8707 lets `resource` be repeated."""
    value = values.get(name)
    items: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    good = [item for item in items if isinstance(item, str) and 0 < len(item) <= TEXT_MOST and item.isprintable()]
    if len(good) != len(items) or len(items) > TEXTS_MOST:
        problems.add(name, f"must be at most {TEXTS_MOST} URIs of at most {TEXT_MOST} printable characters")
    return tuple(good)


def link_id(values: dict[str, object], problems: Problems) -> LinkId | None:
    """The `link` parameter as an id."""
    value = one_text(values, "link", problems)
    if value is None:
        return None
    try:
        return LinkId(UUID(value))
    except ValueError:
        problems.add("link", "must be the id of a link, as listed under /authorizations")
        return None


def min_valid(values: dict[str, object], problems: Problems) -> timedelta:
    """The `min_valid` parameter: 0 to 86,400 seconds."""
    value = one(values, "min_valid", problems)
    if value is None:
        return MIN_VALID
    seconds = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value
    if isinstance(seconds, float) and seconds.is_integer():  # in JSON 60.0 is a whole number, too
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MIN_VALID_MOST:
        problems.add("min_valid", f"must be whole seconds from 0 to {MIN_VALID_MOST}")
        return MIN_VALID
    return timedelta(seconds=seconds)


def flag(values: dict[str, object], name: str, problems: Problems) -> bool:
    """A truth value: JSON booleans, or `true`, `1`, `false`, `0` in a query."""
    value = one(values, name, problems)
    if value is None or isinstance(value, bool):
        return bool(value)
    if value not in ("true", "1", "false", "0"):
        problems.add(name, "must be true or false")
    return value in ("true", "1")

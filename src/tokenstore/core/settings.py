"""Settings by one table: a frozen dataclass whose fields are the rows.

Owns the rows and the typing of values, whether they come as text from the environment or as Python values from a
file. From the rows come parser, checks, redacted dump and reference page. Where values are found is `config`'s part.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast, get_type_hints

from tokenstore.core.secret import Secret

T = TypeVar("T")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_INTEGER = re.compile(r"[+-]?(?:[0-9]+|0[oO][0-7]+|0[xX][0-9A-Fa-f]+|0[bB][01]+)")


class Kind(StrEnum):
    """What a value is; in the environment lists are text with commas or JSON, mappings are JSON."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    LIST = "list"
    MAPPING = "mapping"
    SECRET = "secret"


_KINDS: dict[object, Kind] = {
    str: Kind.TEXT,
    str | None: Kind.TEXT,
    int: Kind.INTEGER,
    int | None: Kind.INTEGER,
    bool: Kind.BOOLEAN,
    tuple[str, ...]: Kind.LIST,
    Mapping[str, Any]: Kind.MAPPING,
    Secret: Kind.SECRET,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row. `name` is without prefix; `unset` says in words what happens without it, where the default does not."""

    name: str
    kind: Kind
    default: object
    meaning: str
    secret: bool
    heading: str
    choices: tuple[str, ...]
    unset: str
    least: int | None
    most: int | None
    check: Callable[[Any], str | None] | None


def setting(
    default: T,
    meaning: str,
    *,
    secret: bool = False,
    heading: str = "",
    choices: Sequence[str] = (),
    least: int | None = None,
    most: int | None = None,
    unset: str = "",
    check: Callable[[Any], str | None] | None = None,
) -> T:
    """A row of a table of settings, written as the default of a dataclass field.

    secret   never shown, and may be read from the file that `<NAME>_FILE` names; fields of type Secret always are
    heading  begins a group of rows; the rows below belong to it
    choices  the only values, compared in the case they are written in
    least, most  bounds of an integer, inclusive
    check    returns what is wrong with a value, in words that follow the setting's name, or None
    """
    shut = secret or isinstance(default, Secret)
    row = functools.partial(
        Setting,
        default=default,
        meaning=meaning,
        secret=shut,
        heading=heading,
        choices=tuple(choices),
        least=least,
        most=most,
        unset=unset,
        check=check,
    )
    made: Any = dataclasses.field(default_factory=lambda: default, metadata={"row": row}, repr=not shut)
    return cast(T, made)  # dataclass replaces the field by its value


def rows(table: type[Any]) -> tuple[Setting, ...]:
    """The rows of a table, in its order."""
    types = get_type_hints(table)
    found: list[Setting] = []
    for field in dataclasses.fields(table):
        row: Setting = field.metadata["row"](name=field.name.upper(), kind=_KINDS[types[field.name]])
        above = found[-1].heading if found else ""
        found.append(row if row.heading else dataclasses.replace(row, heading=above))
    return tuple(found)


def fill(table: Callable[..., T], given: Mapping[str, object]) -> tuple[T, dict[str, str]]:
    """An instance of the table from values by row name, and by row name what is wrong, in words that follow it.

    A wrong value is replaced by the row's default. Names that are no row are passed over.
    """
    values: dict[str, object] = {}
    problems: dict[str, str] = {}
    for row in rows(cast(type[Any], table)):
        if row.name not in given:
            continue
        try:
            values[row.name.lower()] = parse(row, given[row.name])
        except ValueError as error:
            problems[row.name] = str(error)
    return table(**values), problems


def parse(row: Setting, value: object) -> object:
    """The value of a row, typed; text is read as the environment writes it, None is the default.

    Raises ValueError in words that follow the setting's name and show no secret.
    """
    if value is None:
        return row.default
    typed = _PARSERS[row.kind](value)
    if row.choices and typed not in row.choices:
        near = difflib.get_close_matches(str(typed), row.choices, n=1)
        meant = f"did you mean {near[0]}? Write" if near else "write"
        raise ValueError(f"is {typed!r}: {meant} one of {', '.join(row.choices)}")
    if isinstance(typed, int) and row.least is not None and typed < row.least:
        raise ValueError(f"is {typed}: the least is {row.least}")
    if isinstance(typed, int) and row.most is not None and typed > row.most:
        raise ValueError(f"is {typed}: the most is {row.most}")
    if row.check is not None and (problem := row.check(typed)):
        raise ValueError(problem)
    return typed


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("has to be text")
    return value


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not _INTEGER.fullmatch(text):
        raise ValueError("has to be a whole number, as in 30 or 0o600")
    return int(text) if text.lstrip("+-").isdecimal() else int(text, 0)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError("has to be true or false")
    return word in _TRUE


def _list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _json(value, "a list") if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(item, str) for item in value):
        raise ValueError('has to be a list of texts: a, b or ["a", "b"]')
    items = sorted(value) if isinstance(value, set | frozenset) else value
    return tuple(item.strip() for item in items if item.strip())


def _mapping(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        value = _json(value, "an object")
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError('has to be a mapping, in the environment as JSON: {"name": "value"}')
    return value


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError("has to be text")
    return Secret(value)


def _json(text: str, what: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        raise ValueError(f"is no JSON: write {what} in JSON") from None
    return value


_PARSERS: dict[Kind, Callable[[object], object]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.LIST: _list,
    Kind.MAPPING: _mapping,
    Kind.SECRET: _secret,
}

"""Where values come from: the settings file, the environment, the argument of create_app, and files with secrets."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flask import Config

from tokenstore.core.secret import Secret
from tokenstore.core.settings import Kind, Setting

PREFIX = "TOKENSTORE_"
FILE_SUFFIX = "_FILE"
ENVIRONMENT = "environment"
SETTINGS_FILE = PREFIX + "SETTINGS"
# Read by the clients, which share our prefix.
_OF_CLIENTS = frozenset({PREFIX + "URL", PREFIX + "TOKEN"})


@dataclass(frozen=True, slots=True)
class Given:
    """A value and its place: `origin` in words, `rank` rising from the weakest source to the strongest."""

    value: object
    origin: str
    rank: int


@dataclass(slots=True)
class Taken:
    """What was found for the rows of one table, by row name; `names` are the names that would have been read."""

    values: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """Every value given, by setting name; of one name the strongest source counts."""

    given: Mapping[str, Given]
    problems: tuple[str, ...] = ()

    def take(self, table: tuple[Setting, ...], prefix: str = "", owns: Callable[[str], bool] = lambda _: True) -> Taken:
        """The values of the rows, whose names begin with prefix. A secret's file is read here, if it counts."""
        taken = Taken()
        for row in table:
            name = prefix + row.name
            if not owns(name):
                continue
            plain, in_file = self.given.get(name), self.given.get(name + FILE_SUFFIX) if row.secret else None
            taken.names |= {name, name + FILE_SUFFIX} if row.secret else {name}
            if in_file and not in_file.value:
                in_file = None
            if plain and plain.value and in_file and plain.rank == in_file.rank:
                taken.problems[row.name] = f"and {name}{FILE_SUFFIX} are both set: take one out"
            elif in_file and (plain is None or in_file.rank >= plain.rank):
                _read_secret(taken, row, str(in_file.value))
            elif plain:
                taken.values[row.name], taken.origins[row.name] = plain.value, plain.origin
        return taken


def home() -> Path:
    """The top of the checkout that this runs from; the working directory where it is installed."""
    top = Path(__file__).resolve().parents[3]
    return top if (top / "pyproject.toml").is_file() else Path.cwd()


def gather(config: Mapping[str, object] | None, environ: Mapping[str, str]) -> Sources:
    """Everything given: settings file, then environment, then the argument of create_app.

    A settings file that cannot be used is a problem, never an exception.
    """
    given: dict[str, Given] = {}
    problems: list[str] = []
    if named := environ.get(SETTINGS_FILE):
        path = _find(named)
        try:
            values = _read(path)
        except _Unusable as error:
            problems.append(f"{SETTINGS_FILE} names {named}, {error}")
        else:
            given |= {name: Given(value, f"file {named}", 0) for name, value in values.items()}
    for variable, text in environ.items():
        if variable.startswith(PREFIX) and variable != SETTINGS_FILE and variable not in _OF_CLIENTS:
            given[variable.removeprefix(PREFIX)] = Given(text, ENVIRONMENT, 1)
    given |= {name: Given(value, "argument", 2) for name, value in (config or {}).items()}
    return Sources(given, tuple(problems))


def _read_secret(taken: Taken, row: Setting, file: str) -> None:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        taken.problems[row.name] = f"cannot be read from {file}: {reason}"
        return
    # One line break at the end is the editor's, not the secret's.
    secret = text.removesuffix("\n").removesuffix("\r")
    taken.values[row.name] = Secret(secret) if row.kind is Kind.SECRET else secret
    taken.origins[row.name] = f"file {file}"


class _Unusable(Exception):
    """A settings file that cannot be used, in words that follow its name."""


def _find(named: str) -> Path:
    """A relative name is looked for in the working directory, then at the top of the checkout."""
    path = Path(named)
    return path if path.is_absolute() or path.exists() else home() / path


def _read(path: Path) -> dict[str, object]:
    """The capital names of a Python file, of any extension, read as Flask reads them."""
    if not path.is_file():
        raise _Unusable("which is no file: write its path, absolute or from the working directory")
    values = Config(path.parent)
    try:
        values.from_pyfile(path.resolve())
    except Exception as error:  # noqa: BLE001 - whatever a file of foreign code raises is told as one problem
        # The text of the error stays out: it may hold what the file holds.
        raise _Unusable(f"which fails with {type(error).__name__} in line {_line(error, path)}") from None
    return dict(values)


def _line(error: Exception, path: Path) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())
    ]
    return (lines and lines[-1]) or 0

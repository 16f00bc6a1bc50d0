"""What the package imports of others is what it asks for when it is installed: no dependency comes by chance."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from support.documents import PROJECT

# Parts of the package that are there only with an extra.
EXTRAS = ("postgresql", "redis")
# Of the type checkers, imported for nobody else.
TYPES_ONLY = {"_typeshed"}


def normal(name: str) -> str:
    """A distribution's name in the form that indexes compare (packaging's name normalisation)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports by absolute names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def required() -> set[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return {normal(re.split(r"[\[<>=~!; ]", line)[0]) for line in [*project["dependencies"], *extras]}


def test_every_distribution_that_the_package_imports_is_required() -> None:
    files = [path for folder in ("src", "migrations") for path in (PROJECT / folder).rglob("*.py")]
    modules = {module for path in files for module in imported(path)} - {"tokenstore"}
    by_module, asked_for = packages_distributions(), required()

    foreign = {module: by_module.get(module, []) for module in modules - sys.stdlib_module_names - TYPES_ONLY}
    missing = {module: names for module, names in foreign.items() if asked_for.isdisjoint(map(normal, names))}

    assert missing == {}

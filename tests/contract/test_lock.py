"""The locked list holds everything that the project asks for, so that `make` never runs without it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from support.documents import PROJECT

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==", re.MULTILINE)


def normal(requirement: str) -> str:
    """The name of a requirement in the form that indexes compare (packaging's name normalisation)."""
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def required() -> Iterator[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from map(normal, requirements)


@pytest.mark.parametrize("name", sorted(set(required()) - {"tokenstore"}))
def test_every_requirement_is_locked(name: str) -> None:
    locked = {normal(found) for found in _LOCKED.findall((PROJECT / "requirements" / "lock.txt").read_text())}

    assert name in locked

"""What the pages mention is there: files, modules, make targets, commands, pages they link to."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from support.documents import PAGES, PROJECT, TOP_PAGES, name_of, text_of
from tokenstore.cli import group

SOURCES = PROJECT / "src" / "tokenstore"
_IN_PROJECT = re.compile(r"`((?:tests|docs|src|demo|deploy|migrations|requirements)/(?!_build)[\w./-]*)`")
_IN_SOURCES = re.compile(r"`((?:api|config|core|identity|providers|store|ui|vault|web)/\w+(?:\.py)?)`")
_RELATIVE_LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = text_of(page)
    files = [PROJECT / name for name in _IN_PROJECT.findall(text)]
    modules = [SOURCES / name for name in _IN_SOURCES.findall(text)]

    missing = [path for path in files + modules if not path.exists() and not path.with_suffix(".py").exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text_of(page), re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_ours_that_a_page_names_is_there(page: Path) -> None:
    for line in re.findall(r"(?:--app tokenstore|flask) tokenstore((?: [a-z][a-z-]*)*)", text_of(page)):
        command: click.Command | None = group
        for word in line.split():
            if not isinstance(command, click.Group):
                break  # what follows are its arguments
            command = command.get_command(click.Context(command), word)
        assert command is not None, line


# Inside docs/ the build finds broken links.
@pytest.mark.parametrize("page", TOP_PAGES, ids=name_of)
def test_every_page_that_a_top_page_links_to_is_there(page: Path) -> None:
    missing = [link for link in _RELATIVE_LINK.findall(text_of(page)) if not (page.parent / link).exists()]

    assert missing == []

"""The page of commands shows the help of every command as click prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tokenstore.cli import group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
WIDTH = 100


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Every command from here on: how it is called, and its section of the page."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    path = context.command_path
    yield path, f"### `{path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, child, context)


SECTIONS = dict(commands(group, "flask tokenstore"))


@pytest.mark.parametrize("path", SECTIONS)
def test_page_shows_the_help_of_each_command(path: str) -> None:
    assert SECTIONS[path] in PAGE.read_text(encoding="utf-8")


def test_page_shows_no_command_that_is_not_there() -> None:
    shown = re.findall(r"^### `(.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(shown) == set(SECTIONS)

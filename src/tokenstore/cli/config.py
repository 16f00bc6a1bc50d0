"""`flask tokenstore config …`: look at the settings without starting the store."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tokenstore.config import dump, examine, reference


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
def check() -> None:
    """List every problem and warning; exit with 1 if there is a problem."""
    found = examine()
    for problem in found.problems:
        click.echo(f"problem: {problem}")
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{_counted(found.problems, 'problem')}, {_counted(found.warnings, 'warning')}")
    if found.problems:
        raise click.exceptions.Exit(1)


@config.command()
def show() -> None:
    """List every setting with its value, secrets masked, and where it came from."""
    found = examine()
    click.echo(dump(found.groups))
    if found.problems:
        click.echo(f"{_counted(found.problems, 'problem')}, see: flask tokenstore config check", err=True)


@config.command(name="reference")
def reference_() -> None:
    """Print the reference page of all settings, in Markdown."""
    click.echo(reference(), nl=False)


def _counted(things: Sequence[str], name: str) -> str:
    return f"1 {name}" if len(things) == 1 else f"{len(things)} {name}s"

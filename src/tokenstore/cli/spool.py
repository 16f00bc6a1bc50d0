"""`flask tokenstore spool …`: answers of providers that wait for the database."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from tokenstore.cli.failing import failure
from tokenstore.core.spool import Spool
from tokenstore.errors import TokenStoreError
from tokenstore.keeper.operations import Operations
from tokenstore.store.spool import is_spool


@click.group()
def spool() -> None:
    """Look at answers of providers that wait for the database, and put them there."""


@spool.command()
@with_appcontext
def status() -> None:
    """Tell how many answers wait on this machine, and for how long."""
    place = Operations.of(current_app).spool
    try:
        place.ready()
        _tell(place)
    except TokenStoreError as error:
        raise failure(error) from None


@spool.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@with_appcontext
def replay(folder: Path | None) -> None:
    """Put what waits into the database.

    DIR is the spool of a machine that is no more, brought here; without it this machine's is meant. What is in the
    database is never overwritten by something older. Exits with 1 if anything is left.
    """
    found = Operations.of(current_app)
    place = found.spool if folder is None else _another(found, folder.absolute())
    try:
        if folder is None:
            place.ready()  # another machine's may be mounted for reading alone
        click.echo(f"{found.recovery_of(place).replay_all().saved} saved")
        left = _tell(place)
    except TokenStoreError as error:
        raise failure(error) from None
    if left:
        raise click.exceptions.Exit(1)


def _tell(place: Spool) -> int:
    depth = place.depth()
    oldest = f", the oldest for {depth.oldest.total_seconds():.0f} s" if depth.entries else ""
    unreadable = f", {depth.unreadable} unreadable" if depth.unreadable else ""
    click.echo(f"{depth.entries} waiting{oldest}{unreadable}")
    return depth.entries + depth.unreadable


def _another(found: Operations, folder: Path) -> Spool:
    try:
        there = is_spool(folder)
    except OSError as error:
        raise click.BadParameter(f"{folder} cannot be read: {error.strerror}", param_hint="DIR") from None
    if not there:
        often = f"{folder / 'spool'} or {folder / 'instance' / 'spool'}"
        mend = f"name the folder that SPOOL_DIR named on that machine, often {often}"
        raise click.BadParameter(f"{folder} is no spool: {mend}", param_hint="DIR")
    return found.spool_in(folder)

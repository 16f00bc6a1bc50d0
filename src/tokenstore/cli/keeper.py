"""`flask tokenstore keeper`: the keeper as a process of its own."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import with_appcontext

from tokenstore.keeper.loop import Loop, Ran
from tokenstore.keeper.operations import Operations


@click.command(short_help="Do what has to be done although nobody asks.")
@click.option("--once", is_flag=True, help="Do what there is to do, then end; exit with 1 if something failed.")
@with_appcontext
def keeper(once: bool) -> None:
    """Refresh ahead, revoke what is owed, replay the spool, remove what has had its time; until stopped.

    Needed where KEEPER is off in the serving processes. Several may run, also beside serving processes that do the
    same. Prints a line for each run that did something. SIGTERM or Ctrl-C end it after the refreshes under way.
    """
    unheard: list[OSError] = []

    def report(ran: Ran) -> None:
        try:
            _show(ran)
        except OSError as error:
            unheard.append(error)
            loop.stop()

    loop = Operations.of(current_app).keeper.foreground(report)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: _stop(loop))
    if once:
        well = loop.run_once()
    else:
        loop.run()
        well = True
    if unheard:
        raise unheard[0]  # nobody reads the lines any more: an error of the command, which knows that one
    if not well:
        raise click.exceptions.Exit(1)


def _stop(loop: Loop) -> None:
    # In a thread: the signal may come while the main thread holds the lock that is wanted.
    threading.Thread(target=loop.stop).start()


def _show(ran: Ran) -> None:
    if ran.done is None:
        click.echo(f"{_now()} {ran.name}: failed, see the log")
    elif ran.done.count or ran.done.failed:
        failed = f", {ran.done.failed} failed, see the log" if ran.done.failed else ""
        more = ", more to do" if ran.done.more else ""
        click.echo(f"{_now()} {ran.name}: {ran.done.count} in {ran.seconds:.1f} s{failed}{more}")


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

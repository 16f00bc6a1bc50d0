"""`python -m demo`: the store with demo providers on loopback, to try in a browser; `--once` walks the journey."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from demo.address import Address
from demo.config import Account, random_secret
from demo.journey import JourneyFailed, Traveller, walk
from demo.store import StoreProcess, own_settings, running_store
from demo.world import CLIENT_ID, World


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="walk the whole journey and exit")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with demonstration() as (store, traveller):
        return walk_once(store, traveller) if options.once else serve(store, traveller, stop)


@contextmanager
def demonstration() -> Iterator[tuple[StoreProcess, Traveller]]:
    """A store on SQLite in a folder that is gone afterwards, its providers, and one user of this run."""
    address = Address()
    url = address.url
    with tempfile.TemporaryDirectory(prefix="tokenstore-demo-") as folder, World(url) as world:
        home = Path(folder)
        traveller = new_traveller(url, world)
        own = {**own_settings(url, f"sqlite:///{home / 'tokenstore.sqlite'}"), "KEEPER": "embedded"}
        settings = {**own, **world.settings()}
        with running_store(address, settings, home) as store:
            yield store, traveller


def new_traveller(url: str, world: World) -> Traveller:
    """A user whose accounts all have one password, so that there is only one to type."""
    password = random_secret()
    login, account, work = (
        replace(Account.named(name), password=password) for name in ("alice", "alice", "alice-work")
    )
    world.enrol(login, account, work)
    return Traveller(url, world, login, account, work)


def walk_once(store: StoreProcess, traveller: Traveller) -> int:
    """The journey without a screen."""
    try:
        walk(traveller, lambda line: print(line, flush=True))
    except JourneyFailed as failure:
        print(f"\n{failure}\n\nThe end of the store's log:\n{tail(store.log)}", file=sys.stderr)
        return 1
    return 0


def serve(store: StoreProcess, traveller: Traveller, stop: threading.Event) -> int:
    """Say where to go, then wait for Ctrl-C."""
    login, work = traveller.login, traveller.work_account
    token = traveller.world.login.state.mint_access_token(
        login.subject,
        CLIENT_ID,
        expires_in=8 * 3600,
        client_id="demo-program",
        name=login.name,
        email=login.email,
        email_verified=login.email_verified,
    )
    print(
        f"\n  Open      {store.url}/\n"
        f"  Log in    {login.username}\n"
        f"  Password  {login.password}\n\n"
        f"The same name and password work at every demo provider; a second account there is {work.username}.\n\n"
        f"For curl, paste these two lines into another terminal:\n\nSTORE={store.url}\nTOKEN={token}\n\n"
        f"The store logs to {store.log}. Ctrl-C ends everything and leaves nothing behind.",
        flush=True,
    )
    while store.runs:
        if stop.wait(0.5):
            return 0
    print(f"The store ended by itself:\n{tail(store.log)}", file=sys.stderr)
    return 1


def tail(log: Path, lines: int = 30) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())

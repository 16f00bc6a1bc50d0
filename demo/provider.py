"""`python -m demo.provider`: one provider in a process of its own.

Prints one line of JSON with its address and the credentials of this run, then serves until it is terminated,
its parent is gone, or its time is up.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from typing import get_args

from demo.config import Account, Client, Kind, ProviderConfig, Revocation, Rotation
from demo.server import RunningProvider


def main(arguments: list[str] | None = None) -> int:
    """Serve one provider; returns the exit status."""
    options = _parser().parse_args(arguments)
    config = ProviderConfig(
        name=options.name,
        kind=options.kind,
        clients=(Client(options.client_id, tuple(options.redirect_uri)),),
        accounts=tuple(Account.named(username) for username in options.account or ["alice", "bob"]),
        rotation=options.rotation,
        grace_seconds=options.grace,
        revocation=options.revocation,
        access_token_lifetime=options.access_token_lifetime,
        jwt_access_tokens=options.jwt,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with RunningProvider(config).start(options.port) as provider:
        print(json.dumps(_credentials(provider)), flush=True)
        _serve_until(stop, options.lifetime)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.provider", description=__doc__)
    parser.add_argument("--name", default="Demo provider")
    parser.add_argument("--kind", choices=get_args(Kind), default="oidc")
    parser.add_argument("--rotation", choices=get_args(Rotation), default="strict")
    parser.add_argument("--grace", type=float, default=30, help="seconds (default: %(default)s)")
    revocation = "what revoking one token ends (default: %(default)s)"
    parser.add_argument("--revocation", choices=get_args(Revocation), default="grant", help=revocation)
    parser.add_argument("--access-token-lifetime", type=int, default=3600, help="seconds (default: %(default)s)")
    parser.add_argument("--jwt", action="store_true", help="access tokens are JWTs (RFC 9068)")
    parser.add_argument("--client-id", default="tokenstore")
    parser.add_argument("--redirect-uri", action="append", required=True, help="may be given several times")
    parser.add_argument("--account", action="append", help="a user name; may be given several times")
    parser.add_argument("--port", type=int, default=0, help="0 = any free one")
    parser.add_argument("--lifetime", type=float, default=3600, help="seconds to live at most (default: %(default)s)")
    return parser


def _credentials(provider: RunningProvider) -> dict[str, object]:
    client = provider.config.clients[0]
    return {
        "issuer": provider.issuer,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "accounts": {account.username: account.password for account in provider.config.accounts},
        "control_key": provider.state.control_key,
    }


def _serve_until(stop: threading.Event, lifetime: float) -> None:
    parent, end = os.getppid(), time.monotonic() + lifetime
    while not stop.wait(0.5) and os.getppid() == parent and time.monotonic() < end:
        pass


if __name__ == "__main__":
    sys.exit(main())

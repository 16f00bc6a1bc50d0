"""F-IDP: providers that answer as no good provider does, or not at all."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.asking import WAITING, Asking, alive, landed, patiently, told
from chaos.databases import Databases
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from demo.config import Rotation
from demo.knobs import Fault, FaultValue
from support.cluster import HASTY, Cluster, cluster
from support.far_provider import FarProvider, far_provider

TRAP = "trap"
"""Stands for the address to which a provider redirects: nobody may come there."""
MISCONFIGURED = "provider-misconfigured"
TOLD = WAITING | {MISCONFIGURED}
FLIGHT = 27.0
"""Seconds after which nothing of a refresh is under way any more."""


@dataclass(frozen=True, slots=True)
class Odd:
    """What a provider does once or until it is well again. `ahead`: how much its clock is, in seconds."""

    name: str
    faults: Sequence[tuple[Fault, FaultValue]]
    ahead: float = 0.0


def one(fault: Fault, value: FaultValue = True, *more: tuple[Fault, FaultValue]) -> Odd:
    """A provider with one fault, and more that go with it."""
    return Odd(f"{fault} {str(value)[:40]}", [(fault, value), *more])


NOTHING_DONE = [
    *(one(Fault.STATUS, status) for status in (301, 400, 403, 404, 408, 425, 429, 500, 501, 502, 503, 504)),
    one(Fault.STATUS, 429, (Fault.RETRY_AFTER, "3")),
    one(Fault.STATUS, 503, (Fault.RETRY_AFTER, "Thu, 01 Jan 1970 00:00:00 GMT")),
    one(Fault.REDIRECT, TRAP),
    one(Fault.HTML_BODY),
    one(Fault.HUGE_BODY, 100_000_000),
    one(Fault.DROP_BEFORE),
    *(
        one(Fault.BODY, text)
        for text in (
            "",
            "{}",
            "[]",
            "null",
            '"text"',
            "[" * 100_000,
            '{"access_token": 5, "token_type": "Bearer"}',
            '{"access_token": "", "token_type": "Bearer"}',
            '{"access_token": null, "token_type": "Bearer"}',
            '{"access_token": "a"}',
            '{"access_token": "a", "token_type": ["Bearer"]}',
            '{"access_token": "a", "token_type": "Bearer"',
        )
    ),
    *(
        one(Fault.ERROR, code)
        for code in ("server_error", "temporarily_unavailable", "invalid_request", "slow_down", "no such word")
    ),
    one(Fault.ERROR, "server_error", (Fault.ERROR_WITH_200, True)),
]
"""Answers in place of everything else: not even a strict provider has spent the token."""

ROTATED = [
    one(Fault.FORM_ENCODED),
    one(Fault.NO_EXPIRES_IN),
    one(Fault.NO_REFRESH_TOKEN),
    one(Fault.TOKEN_TYPE, "mac"),
    one(Fault.NARROW_SCOPE, "email"),
    *(one(Fault.EXPIRES_IN, value) for value in ("3600", -5, 0, "1e400", True, "soon")),
    Odd("clock 10 min ahead", [], 600),
    Odd("clock 10 min behind", [], -600),
]
"""The token is spent and its successor has come, however oddly."""

CUT_OFF = [one(Fault.DROP_AFTER), one(Fault.TRUNCATED), one(Fault.LATENCY_AFTER, 2.5)]
"""The token is spent, and its successor comes late or not at all: a grace helps, which these have."""

SILENT = [one(Fault.LATENCY, 14), one(Fault.HANG), one(Fault.DRIP, 0.1)]
"""Nothing comes for longer than anybody waits."""


@contextmanager
def odd_answers(
    database_url: str, home: Path, *, odds: Sequence[Odd], rotation: Rotation = "strict", workers: int = 2
) -> Iterator[Trial]:
    """One oddity after the other, each with a link of its own."""
    with (
        far_provider(rotation=rotation, grace=60) as idp,
        cluster(database_url, home, {"idp": idp}, workers=workers, app=HASTY) as store,
    ):
        yield lambda number: odd_answer(store, idp, odds[number % len(odds)])


def odd_answer(store: Cluster, idp: FarProvider, odd: Odd) -> Finding:
    """The caller is told something documented, the flight ends in time, and afterwards all is well."""
    checks, began = Checks(), time.monotonic()
    [link] = store.seed.link("idp")
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        where = f"http://127.0.0.1:{trap.getsockname()[1]}/token"
        for fault, value in odd.faults:
            idp.set(fault, where if value == TRAP else value)
        idp.advance(odd.ahead)
        try:
            answer = told(Asking(store, link).reply())
            checks.that(answer == (200, None) or answer[1] in TOLD, f"{odd.name}: {answer}")
            landed(store, [link])
        finally:
            idp.clear()
            idp.advance(-odd.ahead)
        checks.that(time.monotonic() - began < FLIGHT, f"{odd.name}: under way for {time.monotonic() - began:.0f} s")
        checks.that(not _visited(trap), f"{odd.name}: the redirect was followed")
    store.seed.expire([link])
    checks.same(f"{odd.name}: afterwards", told(patiently(checks, store, link, waiting=TOLD)), (200, None))
    alive(checks, store, idp, [link])
    return checks.finding()


def _visited(trap: socket.socket) -> bool:
    try:
        trap.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _cell(name: str, odds: Sequence[Odd], rotation: Rotation, rounds: int, seconds: float) -> Cell:
    def opened(databases: Databases, home: Path) -> Iterator[Trial]:
        with databases.empty("PostgreSQL", home) as url, odd_answers(url, home, odds=odds, rotation=rotation) as trial:
            yield trial

    return Cell(name, rounds * len(odds), seconds, contextmanager(opened))


BATTERIES = (
    Battery(
        "F-IDP",
        "answers that no good provider gives: statuses, redirects, HTML, 100 MB, JSON of any shape, errors with 200, "
        "odd lifetimes, a clock 10 min off; answers that are cut off or come too late; silence, and a byte every "
        "100 ms",
        "only documented answers, no flight longer than 27 s, no redirect followed, every link alive afterwards (cut "
        "off and silent: with a grace)",
        [
            _cell("nothing done, strict", NOTHING_DONE, "strict", 1, 2.5),
            _cell("odd, strict", ROTATED, "strict", 2, 1.0),
            _cell("cut off, grace", CUT_OFF, "grace", 4, 2.0),
            _cell("silent, grace", SILENT, "grace", 1, 28.0),
        ],
    ),
)

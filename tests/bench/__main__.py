"""`make bench`: what a cached token costs, as ratios to a bare Flask JSON view in the same run.

Writes `docs/reference/benchmark.md`. Nothing here is a test: figures depend on the machine, ratios much less.
"""

from __future__ import annotations

import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

from bench import bare, load  # noqa: E402  (this folder is run as a program; the path is set above)
from bench.in_process import in_turn, median_ratio  # noqa: E402
from demo.address import Address  # noqa: E402
from demo.client import call  # noqa: E402
from demo.config import Account  # noqa: E402
from demo.journey import Traveller, log_in  # noqa: E402
from demo.store import environment, own_settings, running_store  # noqa: E402
from demo.world import STRICT, World  # noqa: E402
from support.postgres import running_postgres  # noqa: E402
from tokenstore import create_app  # noqa: E402

PAGE = PROJECT / "docs/reference/benchmark.md"
BUDGETS = {"SQLite": 3.0, "PostgreSQL": 5.0}
ROUNDS, SECONDS, CONNECTIONS, THREADS = 7, 3.0, 8, 8
TOKEN = f"/api/v1.0/{STRICT}/token"
LIST = "/api/v1.0/authorizations"
CALLERS = ("bearer", "api key", "session", "list")


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one database, medians over the rounds."""

    database: str
    cpu: float
    bare_cpu: float
    cpu_ratio: float
    served: load.Figures
    bare_served: load.Figures
    served_ratio: float
    frame_ratio: float
    silent_ratio: float
    by_caller: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LinkedStore:
    """A running store with one linked account and a cached token, and the ways to ask it for that token."""

    port: int
    bearer: Mapping[str, str]
    api_key: Mapping[str, str]
    session: Mapping[str, str]
    settings: Mapping[str, object]


@contextmanager
def linked_store(database_url: str, home: Path) -> Iterator[LinkedStore]:
    """A store in a process of its own, with a login provider and token providers around it."""
    address = Address()
    person, account = Account.named("ada"), Account.named("ada")
    with World(address.url) as world:
        world.enrol(person, account)
        known = {"id": person.subject, "name": person.name, "email": person.email}
        settings = own_settings(address.url, database_url) | world.settings()
        port = address.port
        with running_store(address, settings, home, workers=1, threads=THREADS) as store:
            traveller = Traveller(store.url, world, person, account, account)
            log_in(traveller)
            traveller.link(STRICT, account)
            bearer = world.login.state.mint_access_token(person.subject, "tokenstore", expires_in=7200)
            answer = call(store.url, "GET", TOKEN, bearer=bearer)
            if answer.status != 200 or not answer.json()["cached"]:
                raise RuntimeError(f"the token is not cached: {answer.status} {answer.text[:200]}")
            cookies = traveller.browser.cookies(store.url)
            yield LinkedStore(
                port,
                {"Authorization": f"Bearer {bearer}"},
                {"X-Api-Key": "benchmark"},
                {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
                {**settings, "USERINFO_MAP": {"apikey-v1": lambda _credentials: known}},
            )


@contextmanager
def bare_server(home: Path) -> Iterator[int]:
    """The bare view under the same server with the same settings; its port."""
    address = Address()
    command = [
        *(sys.executable, "-m", "demo.mortal", str(os.getpid())),
        *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{address.fileno()}", "--no-control-socket"),
        *("--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS)),
        *("--pythonpath", str(PROJECT / "tests"), "bench.bare:create_app()"),
    ]
    with (home / "bare.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment({}), stdout=output, stderr=output, pass_fds=(address.fileno(),)
        )
    port = address.port
    address.close()
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)


def measure(database: str, database_url: str) -> Result:
    """All figures for one database."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with linked_store(database_url, home) as linked, bare_server(home) as bare_port:
            served, plain = served_in_turn(linked.port, linked.bearer, bare_port)
            store = create_app({**linked.settings, "LOG_LEVEL": "INFO", "INSTANCE_PATH": str(home)})
            asked = {
                "bare": (bare.create_app(), "/bare", {}),
                "frame": (store, "/healthz", {}),
                "bearer": (store, TOKEN, linked.bearer),
                "api key": (store, TOKEN, linked.api_key),
                "session": (store, TOKEN, linked.session),
                "list": (store, LIST, linked.bearer),
            }
            with quiet_stderr():
                cpu = in_turn(ROUNDS, asked)
                logging.disable(logging.INFO)
                silent = in_turn(ROUNDS, asked)
                logging.disable(logging.NOTSET)
    return Result(
        database,
        statistics.median(cpu["bearer"]),
        statistics.median(cpu["bare"]),
        median_ratio(cpu, "bearer", "bare"),
        middle(served),
        middle(plain),
        statistics.median(a.per_second / b.per_second for a, b in zip(served, plain, strict=True)),
        median_ratio(cpu, "frame", "bare"),
        median_ratio(silent, "bearer", "bare"),
        {caller: median_ratio(cpu, caller, "bare") for caller in CALLERS},
    )


def served_in_turn(
    port: int, headers: Mapping[str, str], bare_port: int
) -> tuple[list[load.Figures], list[load.Figures]]:
    """Rounds of load on both servers in turn; the first round of each warms up and is dropped."""
    served, plain = [], []
    for turn in range(ROUNDS + 1):
        print(f"  round {turn} of {ROUNDS}", file=sys.stderr)
        seconds = SECONDS if turn else 1.0
        of_bare = load.run(bare_port, "/bare", {}, connections=CONNECTIONS, seconds=seconds)
        of_store = load.run(port, TOKEN, dict(headers), connections=CONNECTIONS, seconds=seconds)
        if turn:
            plain.append(of_bare)
            served.append(of_store)
    return served, plain


def middle(rounds: list[load.Figures]) -> load.Figures:
    """Each figure's median over the rounds."""
    return load.Figures(
        statistics.median(one.per_second for one in rounds),
        statistics.median(one.p50 for one in rounds),
        statistics.median(one.p99 for one in rounds),
    )


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Log lines are made and written, but to nowhere: a terminal would be measured with them."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def page(results: list[Result]) -> str:
    """The page for the documentation."""
    cpu = "\n".join(
        f"| {one.database} | {one.cpu:.0f} µs | {one.bare_cpu:.0f} µs | **{one.cpu_ratio:.2f}** |" for one in results
    )
    served = "\n".join(
        f"| {one.database} | {one.served.per_second:.0f} | {one.bare_served.per_second:.0f} "
        f"| **{one.served_ratio:.2f}** "
        f"| {one.served.p50:.1f} / {one.served.p99:.1f} ms | {one.bare_served.p50:.1f} / {one.bare_served.p99:.1f} ms |"
        for one in results
    )
    callers = "\n".join(
        f"| {one.database} | " + " | ".join(f"{one.by_caller[caller]:.2f}" for caller in CALLERS) + " |"
        for one in results
    )
    verdict = ", ".join(
        f"{one.database} {one.cpu_ratio:.1f} of {BUDGETS[one.database]:.0f} "
        f"({'kept' if one.cpu_ratio <= BUDGETS[one.database] else 'not kept yet'})"
        for one in results
    )
    parts = "\n".join(
        f"| {one.database} | 1 | {one.frame_ratio - 1:.2f} | {one.silent_ratio - one.frame_ratio:.2f} "
        f"| {one.cpu_ratio - one.silent_ratio:.2f} | **{one.cpu_ratio:.2f}** |"
        for one in results
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("flask", "sqlalchemy", "psycopg", "gunicorn"))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"""# Benchmark

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}; run it to see your own machine. Absolute figures belong to
the machine, the ratios are what to look at: both sides run in turn in the same run, and the bare side is a Flask view
that returns a small JSON object.

What is asked: `GET /api/v1.0/<provider>/token` with a bearer JWT, answered from the cache.

## CPU per request

Thread CPU time of the WSGI call in process, without server or socket, a log line per hand-out included.

| database | tokenstore | bare view | ratio |
|---|---|---|---|
{cpu}

The budget is at most 3 times the bare view's on SQLite and 5 times on PostgreSQL. In this run: {verdict}.

## Throughput

gunicorn with one gthread worker of {THREADS} threads, {CONNECTIONS} keep-alive connections on the same machine. On
PostgreSQL the database's own work runs on the same processors.

| database | requests/s | bare view | ratio | p50 / p99 | bare view |
|---|---|---|---|---|---|
{served}

Medians of {ROUNDS} rounds; ratios are medians of the ratios round by round.

## Other callers, and the list

CPU per request in multiples of the bare view's: the cached token by bearer JWT, by API key (the operator's function
answers at once), by browser session, and `GET /api/v1.0/authorizations` with a bearer JWT.

| database | bearer | API key | session | authorizations |
|---|---|---|---|---|
{callers}

## Where the time goes

In multiples of the bare view's CPU time: the bare view itself; what our application adds to any request (addresses,
request id, headers, checks; measured as `GET /healthz`); the work of the view (who calls, the read, opening the token,
the answer); the line in the log.

| database | bare view | our frame | view | log line | all |
|---|---|---|---|---|---|
{parts}

Machine: {machine}, Python {platform.python_version()}, {libraries}.
"""


def main() -> None:
    """Measure both databases, print and write the page."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite", file=sys.stderr)
        results.append(measure("SQLite", f"sqlite:///{folder}/store.db"))
    with running_postgres() as server, server.database() as url:
        print("PostgreSQL", file=sys.stderr)
        results.append(measure("PostgreSQL", url))
    text = page(results)
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""`make bench`: what a cached token costs, as ratios to a bare Flask JSON view in the same run.

Writes `docs/reference/benchmark.md`. Nothing here is a test: figures depend on the machine, ratios much less.
"""

from __future__ import annotations

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
ROUNDS, SECONDS, CONNECTIONS, THREADS = 7, 3.0, 8, 8
HEADER = """| database | CPU per request | bare view | CPU ratio | requests/s | bare view | throughput ratio \\
| p50 / p99 | bare view |
|---|---|---|---|---|---|---|---|---|"""
TOKEN = f"/api/v1.0/{STRICT}/token"


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


@contextmanager
def linked_store(database_url: str, home: Path) -> Iterator[tuple[int, str, dict[str, object]]]:
    """A store with one linked account and a cached token: its port, a bearer token, and its settings."""
    address = Address()
    person, account = Account.named("ada"), Account.named("ada")
    with World(address.url) as world:
        world.enrol(person, account)
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
            yield port, bearer, settings


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
        with linked_store(database_url, home) as (port, bearer, settings), bare_server(home) as bare_port:
            headers = {"Authorization": f"Bearer {bearer}"}
            served, plain = served_in_turn(port, headers, bare_port)
            store = create_app({**settings, "LOG_LEVEL": "INFO", "INSTANCE_PATH": str(home)})
            with quiet_stderr():
                cpu = in_turn(ROUNDS, {"bare": (bare.create_app(), "/bare", {}), "store": (store, TOKEN, headers)})
    return Result(
        database,
        statistics.median(cpu["store"]),
        statistics.median(cpu["bare"]),
        median_ratio(cpu, "store", "bare"),
        middle(served),
        middle(plain),
        statistics.median(a.per_second / b.per_second for a, b in zip(served, plain, strict=True)),
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
    rows = "\n".join(
        f"| {one.database} | {one.cpu:.0f} µs | {one.bare_cpu:.0f} µs | **{one.cpu_ratio:.2f}** "
        f"| {one.served.per_second:.0f} | {one.bare_served.per_second:.0f} | **{one.served_ratio:.2f}** "
        f"| {one.served.p50:.1f} / {one.served.p99:.1f} ms | {one.bare_served.p50:.1f} / {one.bare_served.p99:.1f} ms |"
        for one in results
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("flask", "sqlalchemy", "psycopg", "gunicorn"))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"""# Benchmark

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}; run it to see your own machine. Absolute figures belong to
the machine, the ratios are what to look at: both sides run in turn in the same run, and the bare side is a Flask view
that returns a small JSON object.

What is asked: `GET /api/v1.0/<provider>/token` with a bearer JWT, answered from the cache.

{HEADER}
{rows}

- **CPU per request**: thread CPU time of the WSGI call in process, without server or socket, a log line per hand-out
  included. The budget is at most 3 times the bare view's on SQLite and 5 times on PostgreSQL.
- **requests/s**: gunicorn with one gthread worker of {THREADS} threads, {CONNECTIONS} keep-alive connections on the
  same machine. On PostgreSQL the database's own work runs on the same processors.
- Medians of {ROUNDS} rounds; ratios are medians of the ratios round by round.

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

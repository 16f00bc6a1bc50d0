"""The page of the benchmark, from the figures of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.plots import Chart

Figures = Mapping[str, Any]

CPU_BUDGETS = {"SQLite": 3.0, "PostgreSQL": 5.0}
SERVED_AIMS = {"SQLite": 0.7, "PostgreSQL": 0.5}
MEGABYTES, START_SECONDS, GROWTH = 120.0, 1.5, 1.2
SERVED = {"bare": "bare view", "bearer": "bearer JWT", "api key": "API key", "session": "session"}
SERVED |= {
    "list": "authorizations",
    "bare alone": "bare view, 1 connection",
    "bearer alone": "bearer JWT, 1 connection",
}
NAMES = {"bearer": "bearer JWT", "api key": "API key", "session": "session", "list": "authorizations"}
_NOT_YET = "Not measured yet: `make bench PART={part}`."


def text(figures: Figures) -> str:
    """The whole page."""
    dates = sorted({of["at"] for name, part in figures.items() if name != "machine" for of in part.values()})
    sections = [
        _head(dates),
        _budgets(figures),
        _cpu(figures),
        _served(figures),
        _where(figures),
        _refresh(figures),
        _linking(figures),
        _growth(figures),
        _worker(figures),
        f"Machine: {figures['machine']}.\n",
    ]
    return "\n".join(sections)


def summary(figures: Figures) -> str:
    """The table of budgets alone."""
    return _budgets(figures)


def charts(figures: Figures) -> dict[str, Chart]:
    """The pictures of the page by file name."""
    made: dict[str, Chart] = {}
    if cached := figures.get("cached"):
        names = list(cached)
        budgets = {name: CPU_BUDGETS[name] for name in names}
        rows = {shown: [cached[one]["ratio"][kind] for one in names] for kind, shown in NAMES.items()}
        made["cpu.svg"] = Chart(
            "CPU per request, in multiples of the bare view (dashed: budgets)", names, rows, budgets
        )
        rows = {shown: [cached[one]["served"][kind]["ratio"] for one in names] for kind, shown in NAMES.items()}
        aims = {name: SERVED_AIMS[name] for name in names}
        made["served.svg"] = Chart("Requests per second, in parts of the bare view (dashed: aims)", names, rows, aims)
    if refresh := figures.get("refresh"):
        rows = {
            f"{name}, {latency} ms": [found[latency][side]["per_second"] for side in ("store", "provider")]
            for name, found in refresh.items()
            for latency in _latencies(found)
        }
        made["refresh.svg"] = Chart("Refreshes per second", ("through the store", "provider alone"), rows)
    if growth := figures.get("growth"):
        names = list(growth)
        sizes = [size for size in growth[names[0]] if size != "at"]
        rows = {f"{int(size):,} links": [growth[one][size]["request"]["cpu"] for one in names] for size in sizes}
        made["growth.svg"] = Chart("CPU of a cached token, in microseconds", names, rows)
    return made


def _head(dates: Sequence[str]) -> str:
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"""# Benchmark

Written by `make bench` on {when}; run it to see your own machine, or one part of it: `make bench PART=growth`.
Absolute figures belong to the machine, the ratios are what to look at: both sides run in turn in the same run. The bare
side is a Flask view that returns a small JSON object, under the same server with the same settings, and nothing else.
"""


def _budgets(figures: Figures) -> str:
    rows: list[str] = []
    for name, found in figures.get("cached", {}).items():
        of_cpu, of_bare = CPU_BUDGETS[name], SERVED_AIMS[name]
        rows.append(_row(f"CPU of a cached token, {name}", found["ratio"]["bearer"], "bare view", most=of_cpu))
        served = found["served"]["bearer"]["ratio"]
        rows.append(_row(f"requests per second of the same, {name}", served, "bare view", least=of_bare))
    for name, found in figures.get("growth", {}).items():
        ratio = found["1000000"]["request"]["ratio"]
        rows.append(_row(f"CPU of the same among 1,000,000 links, {name}", ratio, "among 1,000", most=GROWTH))
    for name, found in figures.get("worker", {}).items():
        rows.append(_row(f"memory of a worker, {name}", found["megabytes"], "MB", most=MEGABYTES))
        rows.append(_row(f"start to ready, {name}", found["start"], "s", most=START_SECONDS))
    lines = "\n".join(rows)
    return f"""## Budgets

| what | unit | budget | here | |
|---|---|---|---|---|
{lines}

The cached token is asked for with a bearer JWT. Requests per second are an aim rather than a budget.
"""


def _row(what: str, value: float, unit: str, *, most: float | None = None, least: float = 0.0) -> str:
    budget, kept = (f"≥ {least:g}", value >= least) if most is None else (f"≤ {most:g}", value <= most)
    return f"| {what} | {unit} | {budget} | **{value:.3g}** | {'kept' if kept else 'not kept'} |"


def _cpu(figures: Figures) -> str:
    cached = figures.get("cached", {})
    rows = [
        f"| {name} | {found['cpu']['bare']:.0f} µs | {found['cpu']['bearer']:.0f} µs | "
        + " | ".join(f"{found['ratio'][kind]:.2f}" for kind in NAMES)
        + " |"
        for name, found in cached.items()
    ]
    head = ["database", "bare view", "bearer JWT", *(f"{shown}, ratio" for shown in NAMES.values())]
    table = _table(head, rows, "cached", "![CPU per request by caller](benchmark/cpu.svg)")
    return f"""## CPU per request

`GET /api/v1.0/<provider>/token`, answered from the cache, and `GET /api/v1.0/authorizations` by bearer JWT. Thread CPU
time of the WSGI call in process, without server or socket, a log line per hand-out included; medians of the ratios
round by round. The operator's function behind the API key answers at once.

{table}
"""


def _served(figures: Figures) -> str:
    rows = []
    for name, found in figures.get("cached", {}).items():
        for kind, shown in SERVED.items():
            one = found["served"][kind]
            speed = f"{one['per_second']:.0f} | {one['ratio']:.2f} | {one['p50']:.1f} / {one['p99']:.1f} ms"
            rows.append(f"| {name} | {shown} | {speed} | {one['cpu']:.0f} µs | {one['switches']:.0f} |")
    head = ["database", "what", "requests/s", "ratio", "p50 / p99", "CPU", "waits"]
    table = _table(head, rows, "cached", "![Requests per second by caller](benchmark/served.svg)")
    return f"""## Throughput

Gunicorn as in `deploy/gunicorn.conf.py` with one worker of 8 threads, 8 keep-alive connections from a client on the
same machine. On PostgreSQL the database's own work runs on the same processors. CPU: of the worker per request, server
and system included; waits: how often per request one of its threads had to wait for something, for the interpreter lock
above all (voluntary context switches).

{table}

What stands in the way of more: a thread gives the interpreter lock away whenever it calls the system, and with 8
threads another one takes it. The bare view does so where it receives and sends; a hand-out also reads the database, in
several steps on SQLite, and writes its line of log. The rows with 1 connection show the same work with nobody to wait
for.
"""


def _where(figures: Figures) -> str:
    rows = []
    for name, found in figures.get("cached", {}).items():
        silent, full, view = found["silent"], found["ratio"]["bearer"], found["ratio"]["view"]
        parts = (found["read"], full - silent, silent - found["read"])
        rows.append(f"| {name} | {' | '.join(f'{part:.2f}' for part in parts)} | **{full:.2f}** | {view:.2f} |")
    head = ["database", "read and opening", "log line", "the rest", "all", "the same through Flask"]
    table = _table(head, rows, "cached")
    return f"""## Where the time goes

In multiples of the bare view's CPU time: the one read with the opening of the token; the line in the log; the rest
(addresses, request id, headers, counting; who calls, may they; the answer). A plain request of a program that was here
a moment ago passes Flask by; the last column is the same with a parameter, which does not.

{table}

What stands in the way of less: each request reads, so that an unlinking or a disabled user counts at once, and on
PostgreSQL a read is a system call out and one back; the token is opened with a key derived for its record, as no
plaintext and no record key is kept in memory; and the log line, half of which is Python's own making of a record.
"""


def _refresh(figures: Figures) -> str:
    rows = []
    for name, found in figures.get("refresh", {}).items():
        for latency in _latencies(found):
            store, alone = found[latency]["store"], found[latency]["provider"]
            rows.append(
                f"| {name} | {latency} ms | {store['per_second']:.0f} | {store['p50']:.0f} / {store['p99']:.0f} ms "
                f"| {alone['per_second']:.0f} | {alone['p50']:.0f} / {alone['p99']:.0f} ms |"
            )
    head = ["database", "latency", "refreshes/s", "p50 / p99", "provider alone", "p50 / p99"]
    return f"""## Refresh

Tokens that have ended, each of another link, asked for over 4 connections: lease, provider call, spool, fenced write,
answer. Beside it the same number of refreshes asked of the provider directly, 4 at a time. The provider is the demo's,
in a process of its own on the same processors, and rotates each refresh token.

{_table(head, rows, "refresh", "![Refreshes per second](benchmark/refresh.svg)")}
"""


def _linking(figures: Figures) -> str:
    rows = [
        f"| {name} | {found['per_second']:.1f} | {found['p50']:.0f} / {found['p99']:.0f} ms | {found['cpu']:.1f} ms |"
        for name, found in figures.get("linking", {}).items()
    ]
    return f"""## Linking

The whole journey by one browser, one after the other: start page, button, consent at the provider, callback, code and
ID token, link stored, start page again. The last column is the CPU time of the store's worker in one journey.

{_table(["database", "journeys/s", "p50 / p99", "store"], rows, "linking")}
"""


def _growth(figures: Figures) -> str:
    rows = []
    for name, found in figures.get("growth", {}).items():
        for size in (one for one in found if one != "at"):
            request, read = (f"{one['cpu']:.0f} µs | {one['ratio']:.2f}" for one in found[size].values())
            rows.append(f"| {name} | {int(size):,} | {request} | {read} |")
    head = ["database", "links", "request", "ratio", "of it the read", "ratio"]
    return f"""## Growth

CPU of a cached token by bearer JWT, in process as above, and of the one read behind it with the token opened, each
request of another user. The users are spread over all links, and so are the pages of the database that are touched.

{_table(head, rows, "growth", "![A cached token by number of links](benchmark/growth.svg)")}

Most of what grows on SQLite is the copying of pages from the operating system: a connection keeps 2 MB of them itself,
which hold all of 1,000 links and not the inner pages of 100,000. Mapping the file (`PRAGMA mmap_size`) saved about
half of that when it was tried; it is left out, because a mapped file that anybody truncates ends the process. Indexes
that hold all that the read needs brought it from 1.6 to 1.5, and a cache for the whole file to 1.3: both are left out,
too, as they cost writes and memory.
"""


def _worker(figures: Figures) -> str:
    rows = []
    for name, found in figures.get("worker", {}).items():
        start = f"{found['start']:.2f} s | {found['start_cpu']:.2f} s | {found['bare_start']:.2f} s"
        rows.append(f"| {name} | {found['megabytes']:.0f} MB | {start} |")
    return f"""## Memory and start

Resident memory of the serving process after tokens, lists, pages and the API document; time from the start of the
server to the first good answer of `/readyz`, migrations done before, and the CPU time of the worker in it; beside it
the bare view's first answer.

{_table(["database", "memory", "start to ready", "of it CPU", "bare view"], rows, "worker")}
"""


def _table(head: Sequence[str], rows: Sequence[str], part: str, picture: str = "") -> str:
    """The rows below their head, and above it the picture of them, if there is one."""
    if not rows:
        return _NOT_YET.format(part=part)
    above = [picture, ""] if picture else []
    return "\n".join([*above, f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows])


def _latencies(found: Mapping[str, Any]) -> list[str]:
    return [latency for latency in found if latency != "at"]

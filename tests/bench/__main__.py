"""`make bench`: what the store costs, as ratios to a bare Flask JSON view in the same run.

Each part keeps its figures in `docs/reference/benchmark/figures.json`, from which the page is written anew; so a part
can be run alone (`make bench PART=growth`) and a run that was broken off goes on with what is missing (`RESUME=1`).
Nothing here is a test: figures depend on the machine, ratios much less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

# This folder is run as a program; the path is set above.
from bench import cached, growth, linking, page, refreshing, worker  # noqa: E402
from bench.say import say  # noqa: E402
from support.postgres import PostgresServer, running_postgres  # noqa: E402

PAGE = PROJECT / "docs/reference/benchmark.md"
FOLDER = PROJECT / "docs/reference/benchmark"
FIGURES = FOLDER / "figures.json"
DATABASES = ("SQLite", "PostgreSQL")
PARTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "cached": cached.measure,
    "refresh": refreshing.measure,
    "linking": linking.measure,
    "worker": worker.measure,
}
GROWTH = "growth"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are wanted and write the page after each."""
    wanted = _parsed(arguments)
    figures: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    began = datetime.now(UTC)
    parts = [wanted.part] if wanted.part else [*PARTS, GROWTH]
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres())
        for part in parts:
            for database in DATABASES:
                if wanted.resume and _is_of_today(figures.get(part, {}).get(database)):
                    continue
                say(f"{part} on {database}")
                found = _measured(part, database, server)
                figures.setdefault(part, {})[database] = {**found, "at": f"{datetime.now(UTC):%Y-%m-%d}"}
                figures["machine"] = _machine()
                _write(figures)
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    say(f"done in {minutes:.1f} minutes; written to {PAGE.relative_to(PROJECT)}")
    print(page.summary(figures))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="What the store costs.")
    parser.add_argument("--part", choices=[*PARTS, GROWTH], help="run this part alone")
    parser.add_argument("--resume", action="store_true", help="leave out what has figures of today")
    return parser.parse_args(arguments)


def _is_of_today(found: dict[str, Any] | None) -> bool:
    return found is not None and found["at"] == f"{datetime.now(UTC):%Y-%m-%d}"


def _measured(part: str, database: str, server: PostgresServer) -> dict[str, Any]:
    if part == GROWTH:
        with _databases(database, server, len(growth.SIZES)) as urls:
            return growth.measure(urls)
    with _databases(database, server, 1) as urls:
        return PARTS[part](urls[0])


@contextmanager
def _databases(database: str, server: PostgresServer, count: int) -> Iterator[list[str]]:
    """URLs of empty databases, dropped afterwards."""
    with ExitStack() as stack:
        if database == "PostgreSQL":
            yield [stack.enter_context(server.database()) for _ in range(count)]
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            yield [f"sqlite:///{folder}/store-{number}.db" for number in range(count)]


def _machine() -> str:
    names = ("flask", "sqlalchemy", "psycopg", "gunicorn")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    machine = f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} processors"
    return f"{machine}, Python {platform.python_version()}, {libraries}"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor unknown"
    )


def _write(figures: dict[str, Any]) -> None:
    FOLDER.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(_rounded(figures), indent=1) + "\n")
    for name, chart in page.charts(figures).items():
        (FOLDER / name).write_text(chart.svg())
    PAGE.write_text(page.text(figures))


def _rounded(value: Any) -> Any:
    """The same with floats of four significant digits, which is more than they mean."""
    if isinstance(value, dict):
        return {name: _rounded(held) for name, held in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()

"""The store as `deploy/gunicorn.conf.py` serves it: counting over all processes, log lines, an orderly stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.address import Address
from demo.client import Answer
from demo.knobs import Fault
from demo.store import StoreProcess, environment, own_settings, running_store
from demo.world import World
from support.store import API, Store
from support.tallies import Tallies
from support.waiting import eventually
from tokenstore.composing.providers import make_providers
from tokenstore.config import load
from tokenstore.core.places import Places

pytestmark = pytest.mark.timeout(120)

MOST = 5000
CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "gunicorn.conf.py"
HEALTHY = 'tokenstore_requests_total{method="GET",route="/healthz",status="200"}'


@dataclass(frozen=True, slots=True)
class Served:
    """A store in processes of its own."""

    store: Store
    main: StoreProcess

    def log(self) -> str:
        return self.main.log.read_text()

    def workers(self) -> set[int]:
        """The processes that have begun to serve."""
        return {int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log())}

    def busy(self) -> set[int]:
        """The processes that have answered such requests."""
        return {int(pid) for pid in re.findall(r"worker <(\d+)>: GET /healthz", self.log())}

    def number(self, sample: str) -> float:
        """What a sample of the metrics says."""
        page = self.store.call("GET", "/metrics").text
        found = re.search(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0

    def ask(self, times: int, path: str = "/healthz") -> list[Answer]:
        """As many requests, eight at a time."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: self.store.call("GET", path), range(times)))


@contextmanager
def served(
    world: World, address: Address, home: Path, settings: dict[str, object], workers: int, *options: str
) -> Iterator[Served]:
    url, database_url = address.url, str(settings["SQLALCHEMY_DATABASE_URI"])
    with running_store(address, settings, home, workers=workers, options=options) as process:
        yield Served(Store(url, world, database_url, settings, process.log), process)


@pytest.fixture
def two(sqlite_url: str, tmp_path: Path) -> Iterator[Served]:
    """A store of two workers."""
    address = Address()
    with World(address.url) as world:
        settings = {**own_settings(address.url, sqlite_url), **world.settings()}
        with served(world, address, tmp_path, settings, 2) as running:
            yield running


def test_metrics_are_those_of_all_workers_together(two: Served) -> None:
    before, asked = two.number(HEALTHY), 0

    # The system hands connections out as it likes: ask until both had some.
    while asked < MOST and two.busy() != two.workers():
        asked += len(two.ask(100))

    assert (len(two.busy()), two.number(HEALTHY) - before) == (2, asked)


def test_what_a_killed_worker_has_counted_stays_counted(two: Served) -> None:
    two.ask(50)
    before, first = two.number(HEALTHY), two.workers()

    os.kill(min(first), signal.SIGKILL)
    eventually(lambda: len(two.workers() - first) == 1, "a new worker", seconds=30)

    assert two.number(HEALTHY) == before


def test_every_line_is_a_json_object_also_those_of_the_server(two: Served) -> None:
    answer = two.store.call("GET", f"{API}/idp1/token?access_token=canary-of-a-query")
    eventually(lambda: f"GET {API}/idp1/token" in two.log(), "the line of the request")

    lines = [json.loads(line) for line in two.log().splitlines()]

    assert {"gunicorn.error", "gunicorn.access", "tokenstore.web.problems"} <= {line["logger"] for line in lines}
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    of_request = [line for line in lines if line.get("request_id") == answer.headers["X-Request-Id"]]
    assert {line["logger"] for line in of_request} == {"gunicorn.access", "tokenstore.web.problems"}
    assert "canary-of-a-query" not in two.log()


def test_metrics_are_there_when_the_application_is_loaded_before_the_workers(sqlite_url: str, tmp_path: Path) -> None:
    address = Address()
    with World(address.url) as world:
        settings = {**own_settings(address.url, sqlite_url), **world.settings()}
        with served(world, address, tmp_path, settings, 2, "--preload") as running:
            before = running.number(HEALTHY)
            running.ask(50)

            assert running.number(HEALTHY) - before == 50


def test_folder_of_the_metrics_goes_with_the_server(two: Served) -> None:
    folders = metric_folders(two.main.process.pid)
    two.main.process.terminate()
    two.main.process.wait(40)

    assert (len(folders), metric_folders(two.main.process.pid)) == (1, [])


def test_nothing_is_left_where_no_server_begins(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gunicorn", "--config", str(CONFIG), "--check-config", "no.such.module"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        assert process.wait(60) != 0
    assert metric_folders(process.pid) == []


@pytest.mark.parametrize(("variables", "threads"), [({}, 8), ({"TOKENSTORE_REQUEST_THREADS": "3"}, 3)])
def test_server_and_store_read_one_number_of_threads(
    variables: dict[str, str], threads: int, tmp_path: Path, sqlite_url: str
) -> None:
    command = [sys.executable, "-m", "gunicorn", "--config", str(CONFIG), "--print-config", "no.such.module"]
    env = environment({}) | variables
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    settings = own_settings("http://127.0.0.1:5000", sqlite_url) | {"DEVELOPMENT": True, "INSTANCE_PATH": str(tmp_path)}
    places = make_providers(load(settings, variables), Tallies()).places

    assert re.findall(r"^threads +=? *(\d+)$", done.stdout, re.MULTILINE) == [str(threads)]
    assert (places.most, places.most_in_all) == (Places(threads).most, Places(threads).most_in_all)


def test_gunicorns_own_lines_are_whole_without_our_configuration(sqlite_url: str, tmp_path: Path) -> None:
    settings = own_settings("http://127.0.0.1:5000", sqlite_url) | {"DEVELOPMENT": True, "INSTANCE_PATH": str(tmp_path)}
    options = ["--no-control-socket", "--bind", "127.0.0.1:0"]
    command = [sys.executable, "-m", "gunicorn", *options, "tokenstore:create_app()"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(settings), stderr=output)
    try:
        eventually(lambda: "DEVELOPMENT is on" in log.read_text(), "a worker with the application", seconds=30)
    finally:
        process.terminate()
        process.wait(40)

    said = log.read_text()
    assert "Logging error" not in said
    assert re.search(r"\[\d+\] \[INFO\] Worker exiting", said)


def metric_folders(pid: int) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"tokenstore-metrics-{pid}-*"))


def test_a_refresh_under_way_when_the_server_is_told_to_stop_is_not_lost(sqlite_url: str, tmp_path: Path) -> None:
    address = Address()
    port, answers = address.port, []
    with World(address.url) as world:
        settings = {**own_settings(address.url, sqlite_url), **world.settings()}
        provider = world.providers["idp1"]
        with served(world, address, tmp_path, settings, 1) as first:
            person = first.store.person()
            person.link("idp1")
            first.store.let_pass(4000)
            # Longer than the caller waits.
            provider.knobs.set(Fault.LATENCY, 4)
            caller = threading.Thread(target=lambda: answers.append(person.token("idp1")))
            caller.start()
            provider.calls.wait_for(1, "token", "refresh_token")

            first.main.process.terminate()
            ended = first.main.process.wait(40)
            caller.join()
        provider.knobs.clear()

        with served(world, Address(port), tmp_path, settings, 1):
            kept = person.token("idp1")
            first.store.let_pass(31)
            renewed = person.token("idp1", force="true")

    assert ended == 0
    assert [(answer.status, answer.slug) for answer in answers] == [(503, "refresh-in-progress")]
    assert (kept.status, kept.json()["cached"]) == (200, True)
    assert (renewed.status, renewed.json()["cached"]) == (200, False)
    assert [call.outcome for call in provider.calls.all("token", "refresh_token")] == ["200", "200"]

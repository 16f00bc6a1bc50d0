"""What is measured, as real processes: the store and the bare view under the same server with the same settings.

The server is the one of `deploy/gunicorn.conf.py`, with one worker, and writes no access log for either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.address import Address
from demo.client import call
from demo.config import Account
from demo.journey import Traveller, log_in
from demo.store import environment, own_settings
from demo.world import STRICT, World

PROJECT = Path(__file__).resolve().parents[2]
THREADS = 8
TOKEN = f"/api/v1.0/{STRICT}/token"
LIST = "/api/v1.0/authorizations"
BARE = "bench.bare:create_app()"
STORE = "tokenstore:create_app()"
CALLERS = ("bearer", "api key", "session")

_START_SECONDS = 60
_STOP_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the seconds from the start of its process to its first answer."""

    url: str
    port: int
    pid: int
    started_in: float

    @property
    def worker(self) -> int:
        """The process that serves."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0])


@dataclass(frozen=True, slots=True)
class LinkedStore:
    """A running store with one linked account and a cached token, and how each caller asks for that token."""

    server: Server
    headers: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, object]
    traveller: Traveller


def by_key(credentials: Mapping[str, str]) -> Mapping[str, object]:
    """For `USERINFO_MAP`: the user of the login provider whose subject is the key."""
    return {"id": credentials["token"]}


@contextmanager
def serving(
    app: str, address: Address, home: Path, settings: Mapping[str, object], *, ready: str = "/readyz"
) -> Iterator[Server]:
    """An application at this address, which is taken over, until the context or this process ends."""
    command = [
        *(sys.executable, "-m", "demo.mortal", str(os.getpid()), sys.executable, "-m", "gunicorn"),
        *("--config", str(PROJECT / "deploy/gunicorn.conf.py"), "--bind", f"fd://{address.fileno()}"),
        *("--workers", "1", "--threads", str(THREADS), "--chdir", str(home), app),
    ]
    url, log = address.url, home / f"{app.partition(':')[0]}.log"
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(address.fileno(),),
            start_new_session=True,
        )
    port = address.port
    address.close()
    try:
        while not _answers(url + ready):
            if process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                raise RuntimeError(f"{app} does not serve:\n{log.read_text()}")
            time.sleep(0.01)
        yield Server(url, port, process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


@contextmanager
def bare_server(home: Path) -> Iterator[Server]:
    """The bare view."""
    with serving(BARE, Address(), home, {}, ready="/bare") as server:
        yield server


@contextmanager
def linked_store(database_url: str, home: Path) -> Iterator[LinkedStore]:
    """A store with a login provider and token providers around it."""
    address = Address()
    person, account = Account.named("ada"), Account.named("ada")
    with World(address.url) as world:
        world.enrol(person, account)
        settings: dict[str, object] = {
            **own_settings(address.url, database_url),
            **world.settings(),
            "INSTANCE_PATH": str(home),
            "KEEPER": "embedded",  # as most stores run
            "USERINFO_MAP": {"apikey-v1": "bench.stand:by_key"},
        }
        migrate(settings, home)
        with serving(STORE, address, home, settings) as server:
            traveller = Traveller(server.url, world, person, account, account)
            log_in(traveller)
            traveller.link(STRICT, account)
            bearer = world.login.state.mint_access_token(person.subject, "tokenstore", expires_in=7200)
            answer = call(server.url, "GET", TOKEN, bearer=bearer)
            if answer.status != 200 or not answer.json()["cached"]:
                raise RuntimeError(f"the token is not cached: {answer.status} {answer.text[:200]}")
            cookies = traveller.browser.cookies(server.url)
            headers = {
                "bearer": {"Authorization": f"Bearer {bearer}"},
                "api key": {"X-Api-Key": person.subject},
                "session": {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            }
            yield LinkedStore(server, headers, settings, traveller)


def migrate(settings: Mapping[str, object], home: Path) -> None:
    """Make the tables. Raises RuntimeError with what the command said if that fails."""
    command = [sys.executable, "-m", "flask", "--app", "tokenstore", "db", "upgrade"]
    done = subprocess.run(
        command, cwd=home, env=_environment(settings), capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"the database could not be made:\n{done.stdout}{done.stderr}")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has used: CPU time, user and system, in seconds; and how often its threads had to wait."""

    cpu: float
    switches: int

    def __sub__(self, earlier: Spent) -> Spent:
        return Spent(self.cpu - earlier.cpu, self.switches - earlier.switches)


def spent_by(pid: int) -> Spent:
    """What a process has used until now."""
    threads = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/status")]
    lines = [line for text in threads for line in text.splitlines() if line.startswith("voluntary_ctxt_switches")]
    return Spent(cpu_seconds(pid), sum(int(line.split()[1]) for line in lines))


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment(settings: Mapping[str, object]) -> dict[str, str]:
    """That of a process which finds this folder, too."""
    known = os.environ.get("PYTHONPATH")
    path = [str(PROJECT), str(PROJECT / "tests"), *([known] if known else [])]
    return {**environment(settings), "PYTHONPATH": os.pathsep.join(path)}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (our own http address)
            return answer.status == 200 and json.load(answer).get("ready", True) is True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False

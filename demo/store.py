"""The store as real processes: database migrated, gunicorn on an address known before, settings by environment alone.

For the demo and for tests of what only several processes show. The providers around it are `demo.world`'s business.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.address import Address

START_SECONDS = 60
STOP_SECONDS = 40
_PROJECT = Path(__file__).resolve().parents[1]
_CONFIG = _PROJECT / "deploy" / "gunicorn.conf.py"


@dataclass(frozen=True, slots=True)
class StoreProcess:
    """A running store: its address, the process that owns the workers, and where it logs."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return self.process.poll() is None


def own_settings(public_url: str, database_url: str) -> dict[str, object]:
    """The settings of a store that are not about providers, its keys made for this run; no keeper acts by itself."""
    return {
        "PUBLIC_URL": public_url,
        "SECRET_KEY": secrets.token_hex(32),
        "CRYPTOKEY": secrets.token_hex(32),
        "SQLALCHEMY_DATABASE_URI": database_url,
        "KEEPER": "off",
    }


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The settings as the environment of a process, with nothing inherited that could change them."""
    foreign = ("TOKENSTORE_", "FLASK_", "GUNICORN_", "PROMETHEUS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    told = {
        f"TOKENSTORE_{name}": value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()
    }
    return {**inherited, "FLASK_SKIP_DOTENV": "1", **told}


@contextmanager
def running_store(
    address: Address,
    settings: Mapping[str, object],
    home: Path,
    *,
    workers: int = 2,
    threads: int = 8,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Iterator[StoreProcess]:
    """A store that serves at the address until the context, or this process, ends; `home` is its working directory.

    `options` are further ones for Gunicorn, `variables` further ones of the environment.

    Takes the address over. Raises RuntimeError with what the processes said if the store does not get ready.
    """
    log, url = home / "store.log", address.url
    try:
        own = {"INSTANCE_PATH": str(home), "REQUEST_THREADS": str(threads)}
        env = environment({**own, **settings}) | dict(variables or {})
        _migrate(env, home)
        process = _serve(address, env, home, log, ["--workers", str(workers), *options])
    finally:
        address.close()
    try:
        _wait_until_ready(url, process, log)
        yield StoreProcess(url, process, log)
    finally:
        _stop(process)


def _serve(
    address: Address, env: Mapping[str, str], home: Path, log: Path, options: Sequence[str]
) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "demo.mortal", str(os.getpid())),
        *(sys.executable, "-m", "gunicorn", "--config", str(_CONFIG), "--bind", f"fd://{address.fileno()}"),
        *options,
        # Worker, method, path without its query, status.
        *("--access-logfile", "-", "--access-logformat", "worker %(p)s: %(m)s %(U)s %(s)s"),
        *("--chdir", str(home)),
    ]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  (our own command)
            command,
            cwd=_PROJECT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(address.fileno(),),
            # Ctrl-C is for us; the store is then stopped in order.
            start_new_session=True,
        )


def _migrate(env: Mapping[str, str], home: Path) -> None:
    command = [sys.executable, "-m", "flask", "--app", "tokenstore", "db", "upgrade"]
    done = subprocess.run(  # noqa: S603  (our own command)
        command, cwd=home, env=env, capture_output=True, text=True, check=False, timeout=START_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"the database could not be made:\n{done.stdout}{done.stderr}")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _is_ready(url):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the store did not get ready:\n{log.read_text()}")


def _is_ready(url: str) -> bool:
    # The address was never free, so whoever answers is the process that inherited it.
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310  (our own http address)
            return answer.status == 200 and json.load(answer).get("ready") is True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

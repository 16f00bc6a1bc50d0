"""A real Redis with a password for as long as this test process lives; each test that asks finds it empty."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

START_SECONDS = 20
ATTEMPTS = 5
_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Where a Redis listens, on loopback; it may not be there."""

    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """A client of its own."""
        return Redis.from_url(self.url, socket_timeout=5)


@contextmanager
def redis_at(place: RedisServer) -> Iterator[None]:
    """A Redis at this place for as long as the context, or this process, lives. Raises RuntimeError."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
    with tempfile.TemporaryDirectory(prefix="tokenstore-redis-") as folder:
        settings = Path(folder, "redis.conf")
        settings.touch(mode=0o600)
        # Nothing here outlives the run, so nothing is written to disk.
        settings.write_text(
            f'bind 127.0.0.1\nport {place.port}\nrequirepass {place.password}\nsave ""\nappendonly no\ndir {folder}\n'
        )
        mortal = [sys.executable, "-m", "demo.mortal", str(os.getpid())]
        with (
            Path(folder, "log").open("w+b") as log,
            subprocess.Popen(
                [*mortal, program, str(settings)],
                cwd=_PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as process,
        ):
            try:
                _wait(place, process, Path(folder, "log"))
                yield
            finally:
                process.kill()


def free_place() -> RedisServer:
    """A place where nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return RedisServer(probe.getsockname()[1], secrets.token_urlsafe(24))


def _wait(place: RedisServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with place.client() as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.ping()  # the password tells it from any other server
            except RedisError:
                time.sleep(0.02)
            else:
                return
    raise RuntimeError(f"Redis did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """This test process's Redis."""
    for attempt in range(ATTEMPTS):
        # Another process may take the port first.
        place = free_place()
        serving = redis_at(place)
        try:
            serving.__enter__()
        except RuntimeError:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        try:
            yield place
        finally:
            serving.__exit__(None, None, None)
        return


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url

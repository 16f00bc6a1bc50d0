"""A provider that hangs, and everybody else: other providers go on, nothing grows, and it is taken back by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest

from demo.address import Address
from demo.client import call
from demo.knobs import Fault
from demo.store import StoreProcess, own_settings, running_store
from support.far_provider import FarProvider, far_provider
from support.herd import Asked, Reply, herd
from support.keyed_callers import FUNCTION
from support.seeding import Seeded, Seeder, seeder
from support.waiting import eventually
from tokenstore.core.flight import GROUP_MOST

CALLERS = 50
THREADS = 8
HANGS_FOR = 2.5
DOCUMENTED = {(503, "refresh-in-progress"), (503, "provider-unavailable")}


@dataclass
class Sizes:
    """The most threads and sockets that the worker was seen with."""

    pid: int
    threads: int = 0
    sockets: int = 0

    def look(self) -> None:
        """Look once more."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        self.threads = max(self.threads, int(re.findall(r"^Threads:\s+(\d+)$", status, re.MULTILINE)[0]))
        self.sockets = max(self.sockets, sum(1 for _ in self._sockets()))

    def _sockets(self) -> Iterator[str]:
        for found in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if (target := str(found.readlink())).startswith("socket:"):
                    yield target


@dataclass
class Isolation:
    """A store of one worker, and a provider `fast` and a provider `hung` around it."""

    process: StoreProcess
    port: int
    seed: Seeder
    hung: FarProvider
    cached: Seeded
    sizes: Sizes
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def ask(self, links: Sequence[Seeded]) -> list[Reply]:
        """The tokens of all these links at once."""
        return herd([Asked(self.port, link.path, link.headers) for link in links], patience=30)

    def ask_aside(self, links: Sequence[Seeded]) -> Future[list[Reply]]:
        """The same, while the test goes on."""
        return self.pool.submit(self.ask, links)

    def breaker(self) -> float:
        """What the metrics say of the breaker of `hung`."""
        page = call(self.process.url, "GET", "/metrics").text
        return float(re.findall(r'^tokenstore_breaker_open\{provider="hung"\} (\S+)$', page, re.MULTILINE)[0])

    def status(self, link: Seeded) -> str:
        """What a listing says of the link's provider."""
        items = call(self.process.url, "GET", "/api/v1.0/authorizations", headers=link.headers).json()
        return next(str(item["status"]) for item in items if item["provider"] == link.provider_id)


@pytest.fixture
def isolation(database_url: str, tmp_path: Path) -> Iterator[Isolation]:
    with far_provider() as fast, far_provider() as hung:
        far, address = {"fast": fast, "hung": hung}, Address()
        port = address.port
        settings: dict[str, object] = {
            **own_settings(address.url, database_url),
            "OIDC_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
            "OIDC_CLIENT_ID": "nobody",
            "OIDC_CLIENT_SECRET": "nothing",
            "TOKEN_PROVIDERS": list(far),
            "USERINFO_MAP": {"apikey-v1": FUNCTION},
            "INSTANCE_PATH": str(tmp_path),
            **fast.settings("fast"),
            **hung.settings("hung"),
        }
        with (
            running_store(
                address,
                settings,
                tmp_path,
                workers=1,
                threads=THREADS,
                options=["support.hasty:create_app()"],
                variables={"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            ) as process,
            seeder(settings, far) as seed,
        ):
            main = process.process.pid
            worker = int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0])
            cached = seed.link("fast", expired=False)[0]
            made = Isolation(process, port, seed, hung, cached, Sizes(worker))
            yield made
            made.pool.shutdown()


def assert_tokens(isolation: Isolation, links: Iterable[Seeded]) -> None:
    """A cached token is given at once, and refreshed ones of these links, if need be when asked for again."""
    assert isolation.ask([isolation.cached])[0].status == 200
    for link in links:
        eventually(lambda link=link: isolation.ask([link])[0].status == 200, "a refreshed token")  # type: ignore[misc]


@pytest.mark.timeout(90)
def test_a_provider_that_hangs_stops_nobody_else_and_is_taken_back_when_it_answers(isolation: Isolation) -> None:
    others = iter(isolation.seed.link("fast", THREADS + 10))
    hanging = isolation.seed.link("hung", CALLERS + 2)
    assert_tokens(isolation, islice(others, THREADS))
    isolation.sizes.look()
    threads, sockets = isolation.sizes.threads, isolation.sizes.sockets
    isolation.hung.set(Fault.LATENCY, HANGS_FOR)
    isolation.hung.set(Fault.DROP_BEFORE)

    told = isolation.ask_aside(hanging[:CALLERS])
    while not told.done():
        assert_tokens(isolation, islice(others, 1))
        isolation.sizes.look()
    assert {(reply.status, reply.slug) for reply in told.result()} <= DOCUMENTED
    assert isolation.sizes.threads <= threads + GROUP_MOST + THREADS
    assert isolation.sizes.sockets <= sockets + CALLERS + 1 + GROUP_MOST

    eventually(lambda: isolation.breaker() == 1, "the breaker to open")
    assert [reply.slug for reply in isolation.ask([hanging[CALLERS]])] == ["provider-unavailable"]
    assert isolation.status(hanging[CALLERS]) == "unavailable"
    assert_tokens(isolation, islice(others, 1))

    isolation.hung.clear()
    eventually(lambda: isolation.ask([hanging[-1]])[0].status == 200, "the provider to be taken back", seconds=20)
    assert isolation.breaker() == 0
    assert isolation.status(hanging[CALLERS]) == "ok"

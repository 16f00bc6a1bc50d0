"""A store as several nodes: processes on working directories of their own that share nothing but the database."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo.address import Address
from demo.client import Answer, call
from demo.store import StoreProcess, environment, own_settings, running_store
from support.far_provider import FarProvider
from support.gates import VARIABLE, Gates
from support.herd import Asked, Reply, herd
from support.keyed_callers import FUNCTION
from support.seeding import Seeded, Seeder, seeder

_PATH = os.pathsep.join([str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
GATED = "support.gated:create_app()"
"""The application whose processes can be stopped at the steps of a refresh."""

HASTY = "support.hasty:create_app()"
"""The application whose breakers' time passes faster."""
AHEAD, BEHIND = "support.skewed:ahead()", "support.skewed:behind()"
"""The application where the clock is wrong."""

# Nobody logs in here, so nothing is ever asked of it.
_NO_LOGIN = {
    "OIDC_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "nobody",
    "OIDC_CLIENT_SECRET": "nothing",
}


@dataclass
class Node:
    """One instance of the store: its port stays the same over restarts, its folder keeps what it left."""

    home: Path
    settings: Mapping[str, object]
    workers: int
    port: int
    app: str
    process: StoreProcess | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def gates(self) -> Gates:
        """Where its processes can be stopped, if it serves GATED."""
        return Gates(self.home / "gates")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, address: Address | None = None) -> None:
        """Start it, again if need be; returns when it is ready."""
        self.gates.folder.mkdir(exist_ok=True)
        opened = running_store(
            address or Address(self.port),
            self.settings,
            self.home,
            workers=self.workers,
            options=[self.app] if self.app else [],
            variables={"PYTHONPATH": _PATH, VARIABLE: str(self.gates.folder)},
        )
        self.process = self._running.enter_context(opened)

    def stop(self) -> None:
        """Stop it in order."""
        self._running.close()
        self.process = None

    def restart(self, settings: Mapping[str, object] | None = None, app: str | None = None) -> None:
        """Stop it in order and start it, with other settings or another application."""
        self.stop()
        self.settings = self.settings if settings is None else settings
        self.app = self.app if app is None else app
        self.start()

    def flask(self, *arguments: str) -> str:
        """What `flask tokenstore` prints with these arguments on this node."""
        command = [sys.executable, "-m", "flask", "--app", "tokenstore", "tokenstore", *arguments]
        env = environment({"INSTANCE_PATH": str(self.home), **self.settings}) | {"PYTHONPATH": _PATH}
        return subprocess.run(command, cwd=self.home, env=env, capture_output=True, text=True, check=True).stdout

    def kill(self) -> None:
        """Kill all its processes at once, as a machine dies."""
        if self.process is not None and self.process.runs:
            os.killpg(self.process.process.pid, signal.SIGKILL)
        self.stop()

    def worker_pids(self) -> list[int]:
        """The processes that serve at present."""
        if self.process is None:
            return []
        main = self.process.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [int(pid) for pid in children]

    def spooled(self, link: Seeded) -> list[str]:
        """The files of a link in its spool, room that is only reserved included."""
        return [file.name for file in (self.home / "spool").glob(f"{link.id.hex}.*")]

    def log(self) -> str:
        """What it has logged."""
        return "" if self.process is None else self.process.log.read_text(errors="replace")

    def answered_by(self) -> set[str]:
        """The processes that answered requests for tokens since it was started."""
        return set(re.findall(r"worker (\S+): GET /api/v1\.0/\S+/token", self.log()))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Running nodes, the providers around them, and a way into their database."""

    nodes: Sequence[Node]
    settings: Mapping[str, object]
    far: Mapping[str, FarProvider]
    seed: Seeder

    def herd(self, links: Sequence[Seeded], each: int, query: str = "") -> list[list[Reply]]:
        """`each` requests for the token of every link at the same moment, spread over the nodes; answers by link."""
        asked, live = [], [node for node in self.nodes if node.process is not None]
        for turn in range(each):
            for number, link in enumerate(links):
                port = live[(turn * len(links) + number) % len(live)].port
                asked.append(Asked(port, link.path + query, link.headers))
        replies = herd(asked)
        return [replies[number :: len(links)] for number in range(len(links))]

    def ask(self, link: Seeded, query: str = "", node: int = 0, patience: float = 60) -> Reply:
        """One request for a link's token at one node."""
        return herd([Asked(self.nodes[node].port, link.path + query, link.headers)], patience=patience)[0]

    def unlink(self, link: Seeded, node: int = 0) -> Answer:
        """Unlink it at one node."""
        return call(self.nodes[node].url, "DELETE", f"/api/v1.0/links/{link.id}", headers=link.headers)


@contextmanager
def cluster(
    database_url: str,
    home: Path,
    far: Mapping[str, FarProvider],
    *,
    nodes: int = 1,
    workers: int = 2,
    app: str = "",
    **settings: object,
) -> Iterator[Cluster]:
    """A store of so many nodes with so many worker processes each, on an empty database, with these providers.

    `app`: the WSGI application in place of the store's own, such as GATED or HASTY.
    """
    addresses = [Address() for _ in range(nodes)]
    public_url = addresses[0].url
    given: dict[str, object] = {**own_settings(public_url, database_url), **_NO_LOGIN}
    given |= {"TOKEN_PROVIDERS": list(far), "USERINFO_MAP": {"apikey-v1": FUNCTION}}
    for provider_id, provider in far.items():
        given |= provider.settings(provider_id)
    given |= settings
    made = []
    for number, address in enumerate(addresses):
        own = home / f"node-{number + 1}"
        own.mkdir(parents=True)
        made.append(Node(own, given, workers, address.port, app))
    with ExitStack() as running:
        for node in made:
            running.callback(node.stop)
        for node, address in zip(made, addresses, strict=True):
            node.start(address)
        seed = running.enter_context(seeder({**given, "INSTANCE_PATH": str(home)}, far))
        yield Cluster(made, given, far, seed)

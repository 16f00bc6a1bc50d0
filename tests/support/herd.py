"""Many requests at the same moment from one thread: all connections are opened at once, each asks once.

An answer that did not come whole has status 0.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from demo.address import HOST

_PATIENCE = 60.0
_WIDTH = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """One GET: the port on loopback, the path and the headers."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def sent(self) -> bytes:
        """What goes over the wire."""
        lines = [f"GET {self.path} HTTP/1.1", f"Host: {HOST}:{self.port}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came: status (0: no whole answer), body, and the seconds from the herd's beginning to its end.

    Names of headers are in lower case.
    """

    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body read as JSON; None where there is no whole answer."""
        return json.loads(self.body) if self.status else None

    @property
    def slug(self) -> str | None:
        """The name of the problem that this answer is (RFC 9457), None for a 200."""
        if self.status == 200:
            return None
        told = self.json()
        return "no-answer" if told is None else str(told.get("type", "")).rpartition("/")[2]


class _Connection:
    def __init__(self, asked: Asked) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        # Closed without waiting: thousands of connections a second would use up the ports.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._left = asked.sent()
        self._received = bytearray()
        started = self.socket.connect_ex((HOST, asked.port))
        if started not in (0, errno.EINPROGRESS):
            raise OSError(started, "cannot connect")

    def send(self) -> bool:
        """Send what goes; True when everything has gone."""
        self._left = self._left[self.socket.send(self._left) :]
        return not self._left

    def receive(self) -> bool:
        """Take what is there; True at the end of the answer."""
        part = self.socket.recv(65536)
        self._received += part
        return not part

    def reply(self, seconds: float) -> Reply:
        """What came."""
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not separator or headers.get("content-length") != str(len(body)):
            return Reply(0, b"", seconds)
        return Reply(int(first.split()[1]), body, seconds, headers)


def herd(asked: Sequence[Asked], *, patience: float = _PATIENCE) -> list[Reply]:
    """The answers, in the order of the questions; none is waited for longer than `patience` seconds.

    More than 2,000 do not fit into the queues of a listening socket: the rest follow as the first are answered.
    """
    began = time.monotonic()
    replies: list[Reply | None] = [None] * len(asked)
    waiting = iter(enumerate(asked))
    with selectors.DefaultSelector() as selector:
        _open(selector, islice(waiting, _WIDTH))
        while selector.get_map():
            passed = time.monotonic() - began
            for key, _ in selector.select(max(0.0, patience - passed)):
                number, connection = key.data
                over = _step(selector, key, connection)
                if over is None:
                    continue
                passed = time.monotonic() - began
                replies[number] = connection.reply(passed) if over else Reply(0, b"", passed)
                selector.unregister(connection.socket)
                connection.socket.close()
                _open(selector, islice(waiting, 1))
            if passed >= patience:
                break
        for key in list(selector.get_map().values()):
            key.data[1].socket.close()
    return [reply or Reply(0, b"", patience) for reply in replies]


def _open(selector: selectors.BaseSelector, asked: Iterable[tuple[int, Asked]]) -> None:
    for number, one in asked:
        connection = _Connection(one)
        selector.register(connection.socket, selectors.EVENT_WRITE, (number, connection))


def _step(selector: selectors.BaseSelector, key: selectors.SelectorKey, connection: _Connection) -> bool | None:
    """One step of a connection: None if more is to come, True at the answer's end, False if it failed."""
    try:
        if key.events & selectors.EVENT_WRITE:
            if connection.send():
                selector.modify(connection.socket, selectors.EVENT_READ, key.data)
            return None
        return True if connection.receive() else None
    except OSError:
        return False

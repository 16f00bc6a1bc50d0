"""A server on loopback that answers as no good server does: slowly, hugely, wrongly, not at all.

What it does with each connection is a script. It records what reached it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket, server: HostileServer) -> None:
        self._connection = connection
        self._server = server
        self._buffer = b""

    def receive(self) -> Received | None:
        """The next whole request, recorded; None when the client hung up."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        self._buffer = rest
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(method, path, headers, body)
        self._server.requests.append(received)
        return received

    def send(self, data: bytes) -> bool:
        """Send; False when the client is gone."""
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, data: bytes, pause: float = 0.02) -> None:
        """Send byte by byte until the client or the server has had enough."""
        for position in range(len(data)):
            if self._server.stopping.wait(pause) or not self.send(data[position : position + 1]):
                return

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def wait_for_hang_up(self) -> None:
        """Say nothing until the client is gone."""
        while self._more():
            continue

    def _more(self) -> bool:
        try:
            data = self._connection.recv(65536)
        except OSError:
            return False
        self._server.bytes_received += len(data)
        self._buffer += data
        return bool(data)


Script = Callable[[Conversation], None]


class HostileServer:
    """Runs one script per connection, the last one again and again; `tls` wraps every connection."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.bytes_received = 0
        self.connections = 0
        self.stopping = threading.Event()
        self._scripts: Sequence[Script] = scripts or (answers(b""),)
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The server's origin, written with its loopback address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stopping.set()
        # Closing alone would not wake accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.add(connection)
            self._start(partial(self._talk, connection, script))

    def _talk(self, connection: socket.socket, script: Script) -> None:
        connection.settimeout(_PATIENCE)
        try:
            if self._tls is not None:
                plain, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                self._open.discard(plain)
                self._open.add(connection)
            script(Conversation(connection, self))
        except OSError:
            pass
        finally:
            connection.close()


def http(body: bytes = b"", status: int = 200, content_type: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP/1.1 answer; header names are written with `_` for `-`."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def as_json(value: object) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()


def answers(*raw: bytes) -> Script:
    """Answer each request of a connection in turn, then hang up."""

    def script(talk: Conversation) -> None:
        for answer in raw:
            if talk.receive() is None or not talk.send(answer):
                return

    return script


def routes(table: Mapping[str, bytes | Callable[[Received], bytes]]) -> Script:
    """Answer by path for as long as the client stays; 404 elsewhere."""

    def script(talk: Conversation) -> None:
        while (received := talk.receive()) is not None:
            answer = table.get(received.path.partition("?")[0], http(status=404))
            if not talk.send(answer if isinstance(answer, bytes) else answer(received)):
                return

    return script


def silent(talk: Conversation) -> None:
    """Take the request and never answer."""
    talk.receive()
    talk.wait_for_hang_up()


def deaf(talk: Conversation) -> None:
    """Take the connection and say nothing, not even in TLS."""
    talk.wait_for_hang_up()


def resets(talk: Conversation) -> None:
    """Take the request and reset the connection."""
    talk.receive()
    talk.reset()


def drips(answer: bytes, at_once: int = 0) -> Script:
    """Send an answer byte by byte, its first bytes at once."""

    def script(talk: Conversation) -> None:
        talk.receive()
        talk.send(answer[:at_once])
        talk.drip(answer[at_once:])

    return script


def streams(head: bytes, piece: bytes, times: int = 1_000_000) -> Script:
    """Send a head and then a piece over and over."""

    def script(talk: Conversation) -> None:
        talk.receive()
        if talk.send(head):
            for _ in range(times):
                if not talk.send(piece):
                    return

    return script


def gzip_bomb() -> bytes:
    """An answer that is small on the wire and 200 MiB when decoded."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(bytes(1024 * 1024)) for _ in range(200)]
    return http(b"".join([*pieces, packer.flush()]), content_encoding="gzip")


@contextlib.contextmanager
def listener() -> Iterator[HostileServer]:
    """A server at which nothing is supposed to arrive."""
    with HostileServer(answers(http(b"{}"))) as server:
        yield server

"""A closed-loop HTTP load: a few keep-alive connections in one thread, each sending the next request when answered.

Lean, so that the server is what is measured; refuses any answer that is not 200.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What a round showed: requests per second and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float

    @classmethod
    def of(cls, latencies: list[float], seconds: float) -> Figures:
        """From latencies in seconds, over so many seconds."""
        ordered = statistics.quantiles(latencies, n=100)
        return cls(len(latencies) / seconds, ordered[49] * 1000, ordered[98] * 1000)


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.sent = 0.0

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._received = b""
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived; True when the answer is whole. Raises RuntimeError on anything but a 200."""
        self._received += self.socket.recv(65536)
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self._received[:400].decode("latin-1"))
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return len(body) >= int(lengths[0].split(b":")[1])


def get(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *(f"{name}: {held}" for name, held in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float = 600.0) -> Figures:
    """Send the requests to 127.0.0.1:port, one after the other on each connection, until they or the time are over."""
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        for connection, request in zip([Connection(port) for _ in range(connections)], requests, strict=False):
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(request)
        began = time.perf_counter()
        while selector.get_map() and time.perf_counter() - began < seconds:
            for key, _ in selector.select(timeout=1.0):
                connection = key.data
                if connection.receive():
                    latencies.append(time.perf_counter() - connection.sent)
                    request = next(requests, b"")
                    if request:
                        connection.send(request)
                    else:
                        selector.unregister(connection.socket)
                        connection.socket.close()
        took = time.perf_counter() - began
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return Figures.of(latencies, took)

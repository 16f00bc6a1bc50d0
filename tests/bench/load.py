"""A closed-loop HTTP load: a few keep-alive connections in one thread, each sending the next request when answered.

Lean, so that the server is what is measured; refuses any answer that is not 200.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What a round showed: requests per second and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self.sent = 0.0

    def send(self) -> None:
        """Send the next request."""
        self._received = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self._request)

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


def run(port: int, path: str, headers: dict[str, str], *, connections: int, seconds: float) -> Figures:
    """Load `GET path` on 127.0.0.1:port for this long."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        opened = [Connection(port, request) for _ in range(connections)]
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            for key, _ in selector.select(timeout=1.0):
                connection = key.data
                if connection.receive():
                    latencies.append(time.perf_counter() - connection.sent)
                    connection.send()
        for connection in opened:
            connection.socket.close()
    ordered = statistics.quantiles(latencies, n=100)
    return Figures(len(latencies) / (now - began), ordered[49] * 1000, ordered[98] * 1000)

"""A place on loopback for the store: taken before the store starts, so that its address can be told beforehand."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


class Address:
    """A listening socket on a free port. Whoever inherits it serves there; nobody else can take the port meanwhile."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.create_server((HOST, port), backlog=512)

    @property
    def port(self) -> int:
        """The port."""
        number: int = self._socket.getsockname()[1]
        return number

    @property
    def url(self) -> str:
        """The origin, which is also PUBLIC_URL."""
        return f"http://{HOST}:{self.port}"

    def fileno(self) -> int:
        """The descriptor to serve on. Raises ValueError once given away."""
        if self._socket.fileno() < 0:
            raise ValueError("the address was given away")
        return self._socket.fileno()

    def close(self) -> None:
        """Let go of our end; a server that took the descriptor goes on listening."""
        self._socket.close()

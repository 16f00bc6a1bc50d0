"""Serves a provider over real HTTP on loopback, in threads of the process that asks for it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

from demo.calls import CallLog
from demo.config import ProviderConfig
from demo.endpoints import create_provider
from demo.knobs import Knobs
from demo.state import ProviderState

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"


class _Handler(WSGIRequestHandler):
    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: request lines hold codes; the call log tells what happened."""

    @override
    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    """Takes a herd at once, and can hang up on everybody."""

    request_queue_size = 512

    def __init__(self, port: int) -> None:
        # The application is put in once the port, and with it the issuer, is known.
        super().__init__(HOST, port, Response(status=503), _Handler)
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def hang_up(self, seconds: float) -> None:
        """Close every connection and wait until their threads are done with them."""
        with self._changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster
            self._changed.wait_for(lambda: not self._open, seconds)


class RunningProvider:
    """A provider that can be started, stopped and started again: same port, same state, as after an outage.

    `state` answers what the provider knows, `knobs` make it misbehave, `calls` tell who asked for what.
    """

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.state = ProviderState(config)
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def issuer(self) -> str:
        """The issuer identifier, which is also the base of all URLs; empty before the first start."""
        return self.state.issuer

    url = issuer

    @property
    def discovery_url(self) -> str:
        """Where the metadata of an OpenID provider stands."""
        return f"{self.issuer}/.well-known/openid-configuration"

    @property
    def knobs(self) -> Knobs:
        """The faults that can be turned on."""
        return self.state.knobs

    @property
    def calls(self) -> CallLog:
        """Every call that came."""
        return self.state.calls

    def issuer_at(self, origin: str) -> str:
        """The issuer of a provider that listens there."""
        return origin

    def application(self) -> WSGIApplication:
        """What is served."""
        return create_provider(self.state)

    def start(self, port: int = 0) -> Self:
        """Listen on a port of loopback: the given one, else the one it had before, else any free one."""
        server = _Server(port or self._port)
        self._port = server.port
        self.state.issuer = self.issuer_at(f"http://{HOST}:{self._port}")
        self.state.stopping.clear()
        server.app = self.application()
        name = f"provider-{self.config.name}"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), name=name, daemon=True)
        self._thread.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Stop listening and close every connection, answered or not."""
        if self._server is None or self._thread is None:
            return
        self.state.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up(seconds=10)
        self._server = None

    def __enter__(self) -> Self:
        return self.start() if self._server is None else self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

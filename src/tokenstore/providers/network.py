"""The sockets under the transport: resolve once, check, dial what was checked, and keep to one deadline.

httpcore does its input and output in the calling thread, so the call that a read or write belongs to is the one its
thread is making (`Calls`).
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore
from typing_extensions import override

from tokenstore.providers.addresses import AddressPolicy, AddressRefused

Resolver = Callable[[str], Sequence[str]]
"""Host name to network addresses; raises OSError when there is none."""


def system_resolver(host: str) -> Sequence[str]:
    """The addresses that the operating system knows for a name, in its order of preference."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Calls(threading.local):
    """The provider call that the present thread is making.

    ends    its deadline by the monotonic clock, in seconds
    sent    whether a byte of the request may have left
    fault   what kept the connection from being made, if anything did
    """

    ends: float = 0.0
    sent: bool = False
    fault: str = "connect"

    def begin(self, seconds: float) -> None:
        """Start a call that must be over in so many seconds."""
        self.ends, self.sent, self.fault = time.monotonic() + seconds, False, "connect"

    def left(self, timeout: float | None) -> float:
        """The timeout for the next step in seconds: as asked, but never past the deadline. Zero: it has passed."""
        left = max(0.0, self.ends - time.monotonic())
        return left if timeout is None else min(timeout, left)


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections to addresses that the policy accepts, and to no others."""

    def __init__(self, policy: AddressPolicy, resolve: Resolver, calls: Calls) -> None:
        self._policy = policy
        self._resolve = resolve
        self._calls = calls
        self._sockets = httpcore.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        ends = time.monotonic() + self._calls.left(timeout)
        addresses = self._addresses(host, ends)
        for position, address in enumerate(addresses):
            # Each address gets its share of what is left, so that one dead address does not hide a good one.
            share = (ends - time.monotonic()) / (len(addresses) - position)
            if share <= 0:
                break
            try:
                stream = self._sockets.connect_tcp(address, port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            return _DeadlineStream(stream, self._calls)
        raise httpcore.ConnectError("no address could be reached")

    def _addresses(self, host: str, ends: float) -> Sequence[str]:
        try:
            self._calls.fault = "dns"
            found = [host] if _is_address(host) else _within(self._resolve, host, ends)
            self._calls.fault = "address-refused"
            checked = self._policy.check(host, found)
        except (OSError, UnicodeError, AddressRefused) as exc:
            raise httpcore.ConnectError("no address to dial") from exc
        self._calls.fault = "connect"
        return checked


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every step ends with the deadline of its call, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, calls: Calls) -> None:
        self._stream = stream
        self._calls = calls

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if (left := self._calls.left(timeout)) <= 0:
            raise httpcore.ReadTimeout("deadline")
        return self._stream.read(max_bytes, left)

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if (left := self._calls.left(timeout)) <= 0:
            raise httpcore.WriteTimeout("deadline")
        self._calls.sent = True
        self._stream.write(buffer, left)

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        if (left := self._calls.left(timeout)) <= 0:
            self._stream.close()
            raise httpcore.ConnectTimeout("deadline")
        self._calls.fault = "tls"
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._calls)

    @override
    def close(self) -> None:
        self._stream.close()

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _within(resolve: Resolver, host: str, ends: float) -> Sequence[str]:
    """Resolve before an instant of the monotonic clock; raises TimeoutError after it.

    The system's resolver knows no timeout, so it runs in a thread of its own, which is left behind when it is late.
    """
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(resolve(host))
        except (OSError, UnicodeError) as exc:
            answers.put(exc)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, ends - time.monotonic()))
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer

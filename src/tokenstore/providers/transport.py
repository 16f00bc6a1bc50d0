"""One HTTP call to a provider: bounded in time and size, without redirects, to a checked address.

Owns connections, deadlines and caps, and says of a failed call whether the provider may have acted on it. What the
answer means is for the readers (`answers`, `discovery`, `jwks`). Nothing is ever sent twice from here.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import httpcore

from tokenstore.core.model import ProviderId
from tokenstore.providers.addresses import AddressPolicy, AddressRefused, Target
from tokenstore.providers.bodies import BadBody, read_body
from tokenstore.providers.messages import MayHaveBeenSent, NotSent, Request, Response, TransportError
from tokenstore.providers.network import Calls, CheckedBackend, Resolver, system_resolver

_CONNECTIONS_PER_PROVIDER = 20
_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for connecting, for each read, and for a whole call."""

    connect: float = 3.0
    read: float = 8.0
    deadline: float = 12.0


class Transport:
    """HTTP/1.1 over one connection pool per provider. Thread-safe; each call takes its caller's thread.

    No proxy is taken from the environment, no redirect followed, no cookie kept. `ca_bundle` is a PEM file that
    replaces the system's and certifi's authorities.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        ca_bundle: str | None = None,
        timeouts: Timeouts | None = None,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._policy = policy
        self._timeouts = timeouts or Timeouts()
        self._calls = Calls()
        self._backend = CheckedBackend(policy, resolve, self._calls)
        self._ssl_context = _ssl_context(ca_bundle)
        self._pools: dict[ProviderId, httpcore.ConnectionPool] = {}
        self._pools_lock = threading.Lock()

    def send(self, provider_id: ProviderId, request: Request) -> Response:
        """Make one call; any status is an answer. Raises NotSent or MayHaveBeenSent."""
        try:
            target = self._policy.target(request.url)
        except AddressRefused as exc:
            raise NotSent("address-refused") from exc
        self._calls.begin(min(self._timeouts.deadline, request.deadline or self._timeouts.deadline))
        try:
            return self._exchange(self._pool(provider_id), target, request)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, BadBody) as exc:
            # Not chained: the cause may quote headers or bodies.
            raise self._failure(exc) from None

    def close(self) -> None:
        """Close every connection. Calls under way end with an error."""
        with self._pools_lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _exchange(self, pool: httpcore.ConnectionPool, target: Target, request: Request) -> Response:
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        timeouts = self._timeouts
        limits = {
            "pool": timeouts.connect,
            "connect": timeouts.connect,
            "read": timeouts.read,
            "write": timeouts.read,
        }
        with pool.stream(
            request.method,
            url,
            headers=self._headers(target, request),
            content=request.body,
            extensions={"timeout": limits},
        ) as answer:
            headers = _single_headers(answer.headers)
            body = read_body(answer.iter_stream(), headers.get("content-encoding", ""), request.cap)
            return Response(
                status=answer.status,
                body=body,
                content_type=headers.get("content-type", ""),
                retry_after=headers.get("retry-after"),
                date=headers.get("date"),
            )

    def _headers(self, target: Target, request: Request) -> list[tuple[str, str]]:
        return [
            ("Host", target.authority),
            ("User-Agent", "tokenstore"),
            ("Accept-Encoding", "identity"),
            *request.headers,
        ]

    def _pool(self, provider_id: ProviderId) -> httpcore.ConnectionPool:
        with self._pools_lock:
            if provider_id not in self._pools:
                self._pools[provider_id] = httpcore.ConnectionPool(
                    ssl_context=self._ssl_context,
                    max_connections=_CONNECTIONS_PER_PROVIDER,
                    keepalive_expiry=_IDLE_SECONDS,
                    retries=0,
                    network_backend=self._backend,
                )
            return self._pools[provider_id]

    def _failure(self, exc: Exception) -> TransportError:
        if not self._calls.sent:
            return NotSent("busy" if isinstance(exc, httpcore.PoolTimeout) else self._calls.fault)
        if isinstance(exc, BadBody):
            return MayHaveBeenSent(exc.reason)
        if isinstance(exc, httpcore.TimeoutException):
            return MayHaveBeenSent("timeout")
        return MayHaveBeenSent("reset" if isinstance(exc, httpcore.NetworkError) else "protocol")


def _ssl_context(ca_bundle: str | None) -> ssl.SSLContext:
    context = httpcore.default_ssl_context() if ca_bundle is None else ssl.create_default_context(cafile=ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _single_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header values by lower-case name, the first of repeated ones."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())
    return found

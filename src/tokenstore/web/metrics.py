"""Counting requests, and the page `/metrics`: who may read it and where it is. What is counted is in `counters`."""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST

from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, PolicyDenied, Unauthenticated
from tokenstore.web.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

UNKNOWN = "none"
"""The route of requests for which there is none."""

ROUTE = "tokenstore.route"
"""Where a request's environment says which route answered it, if that was no view."""

_OF_PROXIES = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_", "HTTP_X_REAL_IP")
"""How the names of headers begin that only proxies add."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class CountedRequests:
    """WSGI middleware: counts each answer, so that what fails outside every view counts, too."""

    def __init__(self, wsgi: WSGIApplication, counters: Counters) -> None:
        self._wsgi = wsgi
        self._counters = counters

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def counted(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            method = environ["REQUEST_METHOD"]
            self._counters.requested(_route(environ), method if method in _METHODS else "other", status[:3])
            return start_response(status, headers, exc_info)

        return self._wsgi(environ, counted)


def init_metrics(app: Flask, counters: Counters, token: Secret) -> None:
    """Counts the requests of the application and serves `/metrics`.

    `token`: what readers have to send as a bearer token; empty: readers have to be on this machine.
    """
    wsgi = CountedRequests(app.wsgi_app, counters)
    app.wsgi_app = wsgi  # type: ignore[method-assign]  # the way Flask documents
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if token:
            _require(token)
        elif not _is_from_here(request.environ):
            raise PolicyDenied("Metrics are for this machine alone, unless METRICS_TOKEN is set.")
        return Response(counters.page(), content_type=CONTENT_TYPE_LATEST)

    app.register_blueprint(blueprint)


def _require(token: Secret) -> None:
    scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send METRICS_TOKEN as a bearer token.")
    if not hmac.compare_digest(offered.strip().encode(), token.reveal().encode()):
        raise BadCredentials("This is not METRICS_TOKEN.")


def _is_from_here(environ: WSGIEnvironment) -> bool:
    """Whether the connection comes from this machine, and nobody elsewhere is behind it.

    What a proxy says may be forged, and a proxy may not be declared: so the connection's own address has to be of
    this machine, and no header there that proxies add, however many hops are trusted.
    """
    peer = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR") or ""
    return _is_loopback(peer) and not any(name.startswith(_OF_PROXIES) for name in environ)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def _route(environ: WSGIEnvironment) -> str:
    """The route as the application writes it; what the client wrote could be anything."""
    seen = environ.get("werkzeug.request")
    rule = getattr(seen, "url_rule", None)
    return rule.rule if rule is not None else str(environ.get(ROUTE, UNKNOWN))

"""Where a request comes from and what it is called: public address, proxy hops, request id, size limit.

Forwarded headers count only for as many hops as the operator says stand in front; `Host` never counts.
"""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from tokenstore.web.redaction import note_request_secrets
from tokenstore.web.urls import PublicUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_LIMIT = 64 * 1024
"""Bytes of the largest request body."""

_current: ContextVar[str] = ContextVar("id of the current request", default="")
_WELL_FORMED = re.compile(r"[0-9A-Za-z-]{16,64}")


class PublicAddress:
    """WSGI middleware: the application sees itself at PUBLIC_URL, whatever `Host` says.

    A proxy may pass the path of PUBLIC_URL on or strip it; both arrive at the same routes.
    """

    def __init__(self, wsgi: WSGIApplication, public_url: PublicUrl) -> None:
        self._wsgi = wsgi
        self._mount = public_url.path
        self._host = public_url.host
        self._scheme = public_url.scheme

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if self._mount and (path + "/").startswith(self._mount + "/"):
            path = path.removeprefix(self._mount)
        environ["SCRIPT_NAME"] = self._mount
        environ["PATH_INFO"] = path or "/"
        environ["HTTP_HOST"] = self._host
        environ["wsgi.url_scheme"] = self._scheme
        return self._wsgi(environ, start_response)


class RequestIds:
    """WSGI middleware: names every request, in the log and in the header `X-Request-Id` of its answer.

    `trusting`: an id that a proxy of ours sent along is taken over.
    """

    def __init__(self, wsgi: WSGIApplication, *, trusting: bool) -> None:
        self._wsgi = wsgi
        self._trusting = trusting

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        offered = environ.get("HTTP_X_REQUEST_ID", "") if self._trusting else ""
        name = offered if _WELL_FORMED.fullmatch(offered) else _new_name()
        _current.set(name)
        note_request_secrets(environ)

        def named(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            return start_response(status, [*headers, ("X-Request-Id", name)], exc_info)

        return self._wsgi(environ, named)


def init_requests(app: Flask, public_url: PublicUrl, *, proxy_hops: int = 0) -> None:
    """Gives each request its id, address and size limit.

    `proxy_hops` is the number of proxies of ours that add to X-Forwarded-For; with 0 no forwarded header and no
    X-Request-Id from outside is believed.
    """
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    wsgi: WSGIApplication = PublicAddress(app.wsgi_app, public_url)
    if proxy_hops:
        wsgi = ProxyFix(wsgi, x_for=proxy_hops, x_proto=0, x_host=0, x_port=0, x_prefix=0)
    app.wsgi_app = RequestIds(wsgi, trusting=proxy_hops > 0)  # type: ignore[method-assign]  # the way Flask documents


def _new_name() -> str:
    # No secret, only unlikely to come twice: random numbers of the process' own cost no system call.
    return f"{random.getrandbits(128):032x}"


def request_id() -> str:
    """The id of the request that this thread serves, or served last; empty if it never did."""
    return _current.get()

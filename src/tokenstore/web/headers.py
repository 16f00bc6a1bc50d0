"""The security headers of every response, one content security policy for pages and one for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

    from tokenstore.web.urls import PublicUrl

_FIXED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_HSTS = ("Strict-Transport-Security", "max-age=31536000")
# Not no-referrer: browsers then send `Origin: null` with our own forms (Fetch standard, "append a request Origin
# header").
_REFERRER = ("Referrer-Policy", "same-origin")
# The address of a callback holds a code and a state, whatever is answered there.
_CALLBACK = "/redirect_uri"
_NO_REFERRER = ("Referrer-Policy", "no-referrer")
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_CONNECTS = "tokenstore.connects"
_OWN = "connect-src 'self'"
_PAGE_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; {_OWN}; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
# May be kept, and is asked for again each time: what has an ETag is the same for everybody who may see it.
_REVALIDATED = frozenset({"no-cache", "private, no-cache"})


class SecurityHeaders:
    """WSGI middleware, so that what fails outside every view has the headers too.

    A view may set a narrower `Referrer-Policy`, say `Cache-Control: no-cache` of what has an `ETag` (with `private`
    where not everybody may see it), and call `allow_connecting`; the rest is not for views to say.
    """

    def __init__(self, wsgi: WSGIApplication, fixed: Sequence[tuple[str, str]]) -> None:
        self._wsgi = wsgi
        self._data = [*fixed, ("Content-Security-Policy", _DATA_POLICY)]
        self._page = [*fixed, ("Content-Security-Policy", _PAGE_POLICY)]
        self._ours = frozenset(name.lower() for name, _ in self._data)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        referrer = _NO_REFERRER if environ.get("PATH_INFO", "").endswith(_CALLBACK) else _REFERRER

        def protected(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            return start_response(status, self._protect(headers, referrer, environ.get(_CONNECTS, "")), exc_info)

        return self._wsgi(environ, protected)

    def _protect(
        self, headers: list[tuple[str, str]], referrer: tuple[str, str], connects: str
    ) -> list[tuple[str, str]]:
        given = {name.lower(): value for name, value in headers}
        kept = headers
        if not self._ours.isdisjoint(given):
            kept = [header for header in headers if header[0].lower() not in self._ours]
        if "referrer-policy" not in given:
            kept = [*kept, referrer]
        ours = self._page if given.get("content-type", "").startswith("text/html") else self._data
        kept_by = given.get("cache-control", "")
        if "etag" in given and kept_by in _REVALIDATED:
            ours = [(name, kept_by if name == "Cache-Control" else value) for name, value in ours]
        if connects:
            ours = [(name, value.replace(_OWN, f"{_OWN} {connects}")) for name, value in ours]
        return [*kept, *ours]


def allow_connecting(origin: str) -> None:
    """Lets the page that answers the current request call an origin besides our own."""
    request.environ[_CONNECTS] = origin


def init_headers(app: Flask, public_url: PublicUrl) -> None:
    """Adds the headers to all responses of the application, errors included."""
    fixed = [*_FIXED, _HSTS] if public_url.is_https else _FIXED
    wsgi = SecurityHeaders(app.wsgi_app, fixed)
    app.wsgi_app = wsgi  # type: ignore[method-assign]  # the way Flask documents

"""The security headers of every response, one content security policy for pages and one for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """WSGI middleware, so that what fails outside every view has the headers too.

    A view may set a narrower `Referrer-Policy` itself; the rest is not for views to say.
    """

    def __init__(self, wsgi: WSGIApplication, fixed: Sequence[tuple[str, str]], page_policy: str) -> None:
        self._wsgi = wsgi
        self._data = [*fixed, ("Content-Security-Policy", _DATA_POLICY)]
        self._page = [*fixed, ("Content-Security-Policy", page_policy)]
        self._ours = frozenset(name.lower() for name, _ in self._data)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def protected(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            return start_response(status, self._protect(headers), exc_info)

        return self._wsgi(environ, protected)

    def _protect(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        named = [(name.lower(), (name, value)) for name, value in headers]
        kept = [header for name, header in named if name not in self._ours]
        given = {name: value for name, (_, value) in named}
        if "referrer-policy" not in given:
            kept.append(_REFERRER)
        return kept + (self._page if given.get("content-type", "").startswith("text/html") else self._data)


def init_headers(app: Flask, public_url: PublicUrl, *, image_origins: Iterable[str] = ()) -> None:
    """Adds the headers to all responses of the application, errors included.

    `image_origins` are the origins of configured provider icons, the only foreign thing a page may load.
    """
    fixed = [*_FIXED, _HSTS] if public_url.is_https else _FIXED
    wsgi = SecurityHeaders(app.wsgi_app, fixed, _page_policy(image_origins))
    app.wsgi_app = wsgi  # type: ignore[method-assign]  # the way Flask documents


def _page_policy(image_origins: Iterable[str]) -> str:
    images = " ".join(["'self'", "data:", *sorted(set(image_origins))])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    )

"""The way past Flask for the request that is made all the time: a plain `GET /{provider}/token` of a known program.

Only its success is answered here, and as the view answers it. Whatever else there is to say is the view's business:
it gets the request as it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from tokenstore.api.tokens import TOKEN_ROUTE, log_hand_out, token_answer
from tokenstore.core.tokens import TokenService
from tokenstore.errors import TokenStoreError
from tokenstore.identity.known import KnownPrograms
from tokenstore.web.jsontext import json_text
from tokenstore.web.metrics import ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_BEFORE, _AFTER = TOKEN_ROUTE.split("<provider>")


class HotTokens:
    """WSGI middleware around the application's views: hands out tokens from the cache to programs known already."""

    def __init__(self, wsgi: WSGIApplication, tokens: TokenService, programs: KnownPrograms) -> None:
        self._wsgi = wsgi
        self._tokens = tokens
        self._programs = programs

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = self._answer(environ)
        except TokenStoreError:
            body = None  # the view meets it again, and says it
        if body is None:
            return self._wsgi(environ, start_response)
        environ[ROUTE] = TOKEN_ROUTE
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> bytes | None:
        path: str = environ["PATH_INFO"]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER) and _is_plain(environ)):
            return None
        caller = self._programs.caller(environ)
        if caller is None:
            return None
        provider_id = path[len(_BEFORE) : -len(_AFTER)]
        handed = self._tokens.resting(caller, provider_id)
        if handed is None:
            return None
        log_hand_out(caller, provider_id, handed)
        return json_text(token_answer(handed)).encode()


def _is_plain(environ: WSGIEnvironment) -> bool:
    """Whether the request has no parameters, and no origin that would have to be allowed to read the answer."""
    return environ["REQUEST_METHOD"] == "GET" and not environ.get("QUERY_STRING") and "HTTP_ORIGIN" not in environ


def init_hot_tokens(app: Flask, tokens: TokenService, programs: KnownPrograms) -> None:
    """Let these requests pass Flask by. What is put around the application later is around them, too."""
    app.wsgi_app = HotTokens(app.wsgi_app, tokens, programs)  # type: ignore[method-assign]  # the way Flask documents

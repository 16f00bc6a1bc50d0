"""Small Flask applications made of the pieces in `tokenstore.web`, for tests of one piece at a time."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request, session

from tokenstore.identity.session_store import SessionStore
from tokenstore.identity.sessions import destroy, init_sessions, regenerate
from tokenstore.vault.vault import Label, Vault
from tokenstore.web.csrf import Csrf
from tokenstore.web.headers import init_headers
from tokenstore.web.problems import init_problems
from tokenstore.web.requests import init_requests
from tokenstore.web.urls import PublicUrl

PUBLIC_URL = "https://tokens.example.org"
TRUSTED_ORIGIN = "https://app.example.org"


def small_app(public_url: str = PUBLIC_URL, *, proxy_hops: int = 0) -> Flask:
    """An application with request ids, headers and problems, and no routes of its own."""
    app = Flask("small")
    public = PublicUrl.parse(public_url)
    init_requests(app, public, proxy_hops=proxy_hops)
    init_headers(app, public)
    init_problems(app, public)
    return app


def app_with_sessions(rows: SessionStore, vault: Vault, public_url: str = PUBLIC_URL) -> Flask:
    """A small application that keeps sessions.

    `/store?name=value` stores, `/show` answers with the content, `/login` and `/logout` do what those do to sessions,
    `/quiet` never looks at the session, `POST /change` needs CSRF proof, `/form` shows the CSRF token, `/secret` is a
    read that hands out a secret.
    """
    app = small_app(public_url)
    public = PublicUrl.parse(public_url)
    init_sessions(app, rows, vault, secure=public.is_https)
    csrf = Csrf(public, [TRUSTED_ORIGIN], lambda sid: vault.lookup(Label.CSRF, sid))
    csrf.init_app(app)
    app.add_url_rule("/quiet", "quiet", lambda: "nothing")
    app.add_url_rule("/show", "show", lambda: jsonify(dict(session)))
    app.add_url_rule("/form", "form", csrf.token)

    @app.get("/store")
    def store() -> str:
        session.update(request.args)
        return "stored"

    @app.get("/login")
    def login() -> str:
        regenerate()
        session["user"] = "someone"
        return "logged in"

    @app.get("/logout")
    def logout() -> str:
        destroy()
        return "logged out"

    @app.route("/change", methods=["POST", "PUT", "PATCH", "DELETE"])
    def change() -> str:
        session["changes"] = session.get("changes", 0) + 1
        return "changed"

    @app.get("/secret")
    def secret() -> Response:
        csrf.refuse_cross_site_get()
        return jsonify(access_token="a")

    return app

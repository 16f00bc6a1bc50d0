"""The API document: made of the operations, served as `/api/v1.0/openapi.json`, checked in for readers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from tokenstore.api.operations import OPERATIONS
from tokenstore.web.documentation import ApiLogin, LoginEndpoints
from tokenstore.web.openapi import BASE, Callers
from tokenstore.web.openapi_builder import Builder
from tokenstore.web.urls import PublicUrl

VERSION = "1.0"
"""Of the API, not of the store: fields are added, none is changed."""

_TEXT = """\
Link an account once; from then on every program you trust gets a fresh access token for it.

Times are epoch seconds, `null` means unknown or never. Errors are problem documents (RFC 9457) whose `type` ends in a
name that programs compare. Every answer carries `X-Request-Id`. Programs send a token of the login provider, an API key
or a password where the operator allows them; browsers have a session, and then every change needs an `Origin` header of
the store's own pages or the token of a form in `X-CSRF-Token`.
"""


def create_blueprint(
    public_url: PublicUrl, login: ApiLogin | None, credentials: Collection[str], *, legacy: bool
) -> Blueprint:
    """The document's route, and `/api/`, which leads to the page that shows it.

    login: with whom the page gets tokens, if with anybody. credentials: those of USERINFO_MAP. legacy:
    LEGACY_STATUS_CODES.
    """
    blueprint = Blueprint("document", __name__)
    made: dict[LoginEndpoints | None, bytes] = {}

    @blueprint.get("/api/")
    def to_page() -> BaseResponse:
        return redirect(public_url.absolute("/api/v1.0/"), 302)

    @blueprint.get("/api/v1.0/openapi.json")
    def openapi() -> BaseResponse:
        """The document; with `If-None-Match` 304 where it is the same."""
        endpoints = login.endpoints() if login else None
        body = made.get(endpoints)
        if body is None:
            body = text(document(public_url.absolute(""), endpoints, login, credentials, legacy=legacy)).encode()
            made.clear()
            made[endpoints] = body
        response = Response(body, mimetype="application/json")
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(hashlib.sha256(body).hexdigest()[:32])
        return response.make_conditional(request)

    return blueprint


def document(
    base: str = BASE,
    endpoints: LoginEndpoints | None = None,
    login: ApiLogin | None = None,
    credentials: Collection[str] = ("basic", "apikey-v1"),
    *,
    legacy: bool = False,
) -> dict[str, Any]:
    """The document of the store at `base`; without arguments the one that is checked in.

    endpoints, login: with both there is a scheme by which the page gets tokens itself. credentials: what programs may
    send besides a token of the login provider.
    """
    builder = Builder(OPERATIONS, base=base, legacy=legacy)
    schemes = security_schemes(credentials, secure=base.startswith("https:"))
    if endpoints and login:
        schemes = {"login": login_scheme(endpoints, login), **schemes}
    everyone: list[dict[str, list[str]]] = [{name: []} for name in schemes]
    security: dict[Callers, list[dict[str, list[str]]]] = {
        Callers.ALL: everyone,
        Callers.BROWSER: [{"session": []}, {}],
        Callers.ANYBODY: [],
    }
    paths = builder.paths(security)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tokenstore",
            "version": VERSION,
            "description": _TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "tags": [{"name": name} for name in ("Tokens", "Links", "Who", "Login", "Health", "Documentation")],
        "paths": paths,
        "components": {
            "schemas": builder.schemas,
            "responses": builder.responses,
            "examples": dict(sorted(builder.examples.items())),
            "securitySchemes": schemes,
        },
    }


def text(made: dict[str, Any]) -> str:
    """A document as it is served and checked in."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def security_schemes(credentials: Collection[str], *, secure: bool) -> dict[str, Any]:
    """How callers say who they are. `secure`: over https, where the cookie has another name."""
    schemes: dict[str, Any] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token of the login provider for one of OIDC_AUDIENCE",
        },
        "apikey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Api-Key",
            "description": "Where USERINFO_MAP has `apikey-v1`",
        },
        "basic": {"type": "http", "scheme": "basic", "description": "Where USERINFO_MAP has `basic`"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-tokenstore" if secure else "tokenstore",
            "description": "What a browser has after /api/oidc/login",
        },
    }
    absent = {name for kind, name in (("basic", "basic"), ("apikey-v1", "apikey")) if kind not in credentials}
    return {name: scheme for name, scheme in schemes.items() if name not in absent}


def login_scheme(endpoints: LoginEndpoints, login: ApiLogin) -> dict[str, Any]:
    """The login provider's code flow (RFC 6749 section 4.1), to be used with PKCE."""
    flow = {
        "authorizationUrl": endpoints.authorize,
        "tokenUrl": endpoints.token,
        "scopes": dict.fromkeys(login.scopes, ""),
    }
    return {
        "type": "oauth2",
        "description": "Log in at the login provider; this page gets an access token of its own",
        "flows": {"authorizationCode": flow},
    }

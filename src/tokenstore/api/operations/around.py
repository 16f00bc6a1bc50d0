"""Logging in and out, health, and what the names of errors mean: routes of other layers."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from tokenstore.api.operations.examples import RETURN_URL
from tokenstore.errors import (
    AttemptExpired,
    BadCredentials,
    InvalidRequest,
    LinkDenied,
    NotFound,
    PolicyDenied,
    ProviderMisconfigured,
    ProviderUnavailable,
    Unauthenticated,
)
from tokenstore.web.openapi import BASE, PAGE, Answer, Body, Callers, Operation, Parameter


class AliveJson(TypedDict):
    """The process lives."""

    alive: bool


class ReadyJson(TypedDict):
    """The store can serve."""

    ready: bool


class NotReadyJson(ReadyJson):
    """The store cannot serve; `failed` holds `database`, `keys` or `spool`."""

    failed: list[str]


class LogoutBody(TypedDict):
    """Where the browser ends up, and the proof of a page that sends no `Origin`."""

    return_url: NotRequired[str]
    csrf_token: NotRequired[str]


class LogoutTokenBody(TypedDict):
    """The login provider's word."""

    logout_token: str


class DocumentJson(TypedDict):
    """OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]


_DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "tokenstore", "version": "1.0"},
    "servers": [{"url": BASE}],
    "tags": [{"name": "Tokens"}],
    "paths": {"/healthz": {"get": {"operationId": "alive"}}},
    "components": {"schemas": {}},
}
_FORM = "application/x-www-form-urlencoded"
_LOGIN = (ProviderUnavailable, ProviderMisconfigured)
_TO = {"Location": "Where to"}


def _ready(name: str, path: str) -> Operation:
    return Operation(
        name,
        "get",
        path,
        "Whether the store can serve",
        "Health",
        (
            Answer("It can", ReadyJson, {"ready": True}),
            Answer("It cannot", NotReadyJson, {"ready": False, "failed": ["database"]}, 503),
        ),
        callers=Callers.ANYBODY,
        reads_storage=False,
    )


OPERATIONS = (
    Operation(
        "log_in",
        "get",
        "/api/oidc/login",
        "For browsers: go to the login provider",
        "Login",
        (Answer("To the login provider", status=302, headers=_TO),),
        (RETURN_URL,),
        problems=(InvalidRequest, *_LOGIN),
        callers=Callers.BROWSER,
    ),
    Operation(
        "complete_login",
        "get",
        "/api/oidc/redirect_uri",
        "Where the login provider sends the browser back to",
        "Login",
        (Answer("To the return URL, logged in", status=302, headers=_TO),),
        problems=(InvalidRequest, AttemptExpired, LinkDenied, PolicyDenied, *_LOGIN),
        callers=Callers.BROWSER,
    ),
    Operation(
        "ask_to_log_out",
        "get",
        "/api/oidc/logout",
        "For browsers: a page that asks",
        "Login",
        (Answer("The page", str, "<!doctype html>", media=PAGE),),
        (RETURN_URL,),
        callers=Callers.BROWSER,
    ),
    Operation(
        "log_out",
        "post",
        "/api/oidc/logout",
        "End the session here, then at the login provider",
        "Login",
        (
            Answer("A page that leads to the login provider's own logout", str, "<!doctype html>", media=PAGE),
            Answer("To the return URL, where the login provider has no logout", status=303, headers=_TO),
        ),
        body=Body(LogoutBody, {"return_url": "/"}, _FORM),
        problems=(InvalidRequest,),
        callers=Callers.BROWSER,
    ),
    Operation(
        "hear_of_logout",
        "post",
        "/api/oidc/backchannel_logout",
        "For the login provider: somebody logged out there (OIDC Back-Channel Logout 1.0)",
        "Login",
        (Answer("Heard"),),
        body=Body(LogoutTokenBody, {"logout_token": "eyJ0eXAiOiJsb2dvdXQrand0In0.e30.c2ln"}, _FORM),
        problems=(InvalidRequest, *_LOGIN),
        callers=Callers.ANYBODY,
    ),
    Operation(
        "alive",
        "get",
        "/healthz",
        "Whether the process lives",
        "Health",
        (Answer("It does", AliveJson, {"alive": True}),),
        callers=Callers.ANYBODY,
        reads_storage=False,
    ),
    _ready("ready", "/readyz"),
    _ready("health", "/api/_health"),
    Operation(
        "metrics",
        "get",
        "/metrics",
        "Counters for Prometheus; with METRICS_TOKEN as bearer token, or without one from this machine",
        "Health",
        (Answer("The counters", str, "# HELP …\n", media="text/plain"),),
        problems=(Unauthenticated, BadCredentials, PolicyDenied),
        callers=Callers.ANYBODY,
        reads_storage=False,
    ),
    Operation(
        "describe_error",
        "get",
        "/api/errors/{slug}",
        "What the name of an error stands for",
        "Documentation",
        (
            Answer(
                "In words",
                str,
                "Log in first (401)\n\nThe request carries neither a session nor credentials of a program.\n"
                "Log in, or send `Authorization: Bearer` with an access token of the login provider.\n",
                media="text/plain",
            ),
        ),
        (Parameter("slug", "path", "Name of an error", {"type": "string"}, "unauthenticated"),),
        problems=(NotFound,),
        callers=Callers.ANYBODY,
        reads_storage=False,
    ),
    Operation(
        "openapi",
        "get",
        "/api/v1.0/openapi.json",
        "This document",
        "Documentation",
        (
            Answer("The document", DocumentJson, _DOCUMENT, headers={"ETag": "Of the document"}),
            Answer("It is still the one of `If-None-Match`", status=304, headers={"ETag": "Of the document"}),
        ),
        callers=Callers.ANYBODY,
        reads_storage=False,
    ),
)

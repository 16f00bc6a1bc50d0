"""The security headers, on every kind of response."""

from __future__ import annotations

import pytest
from flask import Flask, redirect
from werkzeug.wrappers import Response as BaseResponse

from support.web import small_app
from tokenstore.web.headers import init_headers
from tokenstore.web.urls import PublicUrl

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def app_with_all_kinds(public_url: str = "https://t.example.org") -> Flask:
    app = small_app(public_url)
    app.add_url_rule("/page", view_func=lambda: "<p>page</p>", endpoint="page")
    app.add_url_rule("/data", view_func=lambda: {"a": 1}, endpoint="data")

    @app.get("/elsewhere")
    def elsewhere() -> BaseResponse:
        response = redirect("/page", 303)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError

    return app


@pytest.mark.asvs("3.4.1")
@pytest.mark.asvs("3.4.4")
@pytest.mark.asvs("3.4.8")
@pytest.mark.asvs("14.3.2")
@pytest.mark.parametrize("path", ["/page", "/data", "/elsewhere", "/broken", "/nowhere"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Strict-Transport-Security", "max-age=31536000"),
    ],
)
def test_every_response_carries_the_header(path: str, name: str, value: str) -> None:
    assert app_with_all_kinds().test_client().get(path).headers.getlist(name) == [value]


@pytest.mark.asvs("3.4.3")
@pytest.mark.asvs("3.4.6")
@pytest.mark.parametrize(
    ("path", "policy"),
    [("/page", PAGE_POLICY), ("/data", DATA_POLICY), ("/broken", DATA_POLICY), ("/nowhere", DATA_POLICY)],
)
def test_content_security_policy_follows_the_kind_of_response(path: str, policy: str) -> None:
    assert app_with_all_kinds().test_client().get(path).headers["Content-Security-Policy"] == policy


def test_icons_of_providers_may_be_shown() -> None:
    app = Flask("icons")
    init_headers(app, PublicUrl.parse("https://t.example.org"), image_origins=["https://icons.example"])
    app.add_url_rule("/", view_func=lambda: "page")
    assert (
        "img-src 'self' data: https://icons.example;" in app.test_client().get("/").headers["Content-Security-Policy"]
    )


def test_plain_http_promises_no_https() -> None:
    answer = app_with_all_kinds("http://127.0.0.1:5000").test_client().get("/page")
    assert "Strict-Transport-Security" not in answer.headers


def test_own_forms_keep_their_origin() -> None:
    assert app_with_all_kinds().test_client().get("/page").headers["Referrer-Policy"] == "same-origin"


def test_view_may_withhold_the_referrer() -> None:
    assert app_with_all_kinds().test_client().get("/elsewhere").headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.asvs("13.4.4")
def test_trace_is_not_allowed() -> None:
    assert app_with_all_kinds().test_client().open("/page", method="TRACE").status_code == 405

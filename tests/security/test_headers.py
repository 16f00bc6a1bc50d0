"""The security headers, on every kind of response."""

from __future__ import annotations

import pytest
from flask import Flask, redirect
from werkzeug.wrappers import Response as BaseResponse

from support.web import small_app
from tokenstore.web.headers import allow_connecting

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


def test_a_page_may_connect_to_one_more_origin_if_its_view_says_so() -> None:
    app = app_with_all_kinds()

    @app.get("/connecting")
    def connecting() -> str:
        allow_connecting("https://login.example")
        return "page"

    answers = [app.test_client().get(path).headers["Content-Security-Policy"] for path in ("/connecting", "/page")]

    assert answers[0] == PAGE_POLICY.replace("connect-src 'self'", "connect-src 'self' https://login.example")
    assert answers[1] == PAGE_POLICY


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ({"Cache-Control": "no-cache", "ETag": '"1"'}, "no-cache"),
        ({"Cache-Control": "private, no-cache", "ETag": '"1"'}, "private, no-cache"),
        ({"Cache-Control": "no-cache"}, "no-store"),
        ({"Cache-Control": "public, max-age=60", "ETag": '"1"'}, "no-store"),
        ({"ETag": '"1"'}, "no-store"),
    ],
)
def test_only_what_is_revalidated_by_its_etag_may_be_kept(headers: dict[str, str], answered: str) -> None:
    app = small_app()
    app.add_url_rule("/kept", view_func=lambda: ("the same for everybody", headers), endpoint="kept")

    assert app.test_client().get("/kept").headers.getlist("Cache-Control") == [answered]

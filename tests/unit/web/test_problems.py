"""Errors as RFC 9457 documents and as pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Blueprint, Flask
from jinja2 import DictLoader
from werkzeug.test import TestResponse

from support.web import small_app
from tokenstore import errors
from tokenstore.web.problem_table import TABLE

SINCE = datetime(2026, 11, 22, tzinfo=UTC)
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGE = "{{ problem.status }} {{ problem.slug }} {{ problem.request_id }} {{ problem.authorize_url }}"


def app_that_raises(error: Exception, template: str = PAGE) -> Flask:
    app = small_app("https://t.example.org/store")
    app.jinja_loader = DictLoader({"error.html": template})
    pages = Blueprint("ui", __name__)

    def fail() -> Any:
        raise error

    pages.add_url_rule("/page", view_func=fail)
    app.register_blueprint(pages)
    app.add_url_rule("/api/v1.0/thing", view_func=fail, endpoint="thing")
    app.add_url_rule("/api/v1.0/idp1/redirect_uri", view_func=fail, endpoint="callback")
    return app


def answer_to(error: Exception, path: str = "/api/v1.0/thing", headers: dict[str, str] | None = None) -> TestResponse:
    return app_that_raises(error).test_client().get(path, headers=headers)


def made(kind: type[errors.TokenStoreError]) -> errors.TokenStoreError:
    """An error of this class, whatever its constructor wants."""
    if kind in (errors.NotLinked, errors.ReauthorizationRequired, errors.ScopeNotGranted):
        return kind("what happened", provider_id="idp1")
    return kind("what happened")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.slug)
def test_every_error_is_answered_with_the_status_of_the_table(row: Any) -> None:
    assert answer_to(made(row.error)).status_code == row.status


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.slug)
def test_type_of_every_error_can_be_opened(row: Any) -> None:
    answer = answer_to(made(row.error)).get_json(force=True)
    path = answer["type"].removeprefix("https://t.example.org")
    assert row.error.title in app_that_raises(made(row.error)).test_client().get(path).text


def test_unknown_type_page_is_not_found() -> None:
    assert answer_to(ValueError(), "/api/errors/no-such").status_code == 404


def test_problem_has_the_members_of_rfc_9457() -> None:
    answer = answer_to(errors.PolicyDenied("You may not do this."))
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json() == {
        "type": "https://t.example.org/store/api/errors/policy-denied",
        "title": "Not allowed",
        "status": 403,
        "detail": "You may not do this.",
        "instance": answer.headers["X-Request-Id"],
    }


@pytest.mark.parametrize(
    "error",
    [
        made(errors.NotLinked),
        made(errors.ReauthorizationRequired),
        errors.ScopeNotGranted("Link again.", provider_id="idp1", linking_mends=True),
    ],
    ids=lambda error: error.slug,
)
def test_problem_that_a_click_mends_names_the_start_page(error: errors.TokenStoreError) -> None:
    assert answer_to(error).get_json()["authorize_url"] == "https://t.example.org/store/link/idp1"


def test_scope_that_linking_again_does_not_bring_leads_nowhere() -> None:
    assert "authorize_url" not in answer_to(made(errors.ScopeNotGranted)).get_json()


def test_reauthorization_tells_since_when_in_epoch_seconds() -> None:
    error = errors.ReauthorizationRequired("Link again.", provider_id="idp1", since=SINCE)
    assert answer_to(error).get_json()["since"] == int(SINCE.timestamp())


def test_invalid_request_lists_what_is_wrong() -> None:
    error = errors.InvalidRequest("Mend it.", errors=[errors.FieldProblem("/min_valid", "a number of seconds")])
    assert answer_to(error).get_json()["errors"] == [{"pointer": "/min_valid", "detail": "a number of seconds"}]


def test_challenge_has_no_error_code_when_no_credentials_came() -> None:
    assert answer_to(errors.Unauthenticated("Log in.")).headers["WWW-Authenticate"] == 'Bearer realm="tokenstore"'


def test_challenge_says_invalid_token_when_credentials_were_bad() -> None:
    challenge = answer_to(errors.BadCredentials("Expired.")).headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="tokenstore", error="invalid_token"'


@pytest.mark.parametrize(("wait", "expected"), [(0.0, "1"), (0.2, "1"), (5.0, "5"), (5.01, "6")])
def test_retry_after_is_rounded_up_to_whole_seconds(wait: float, expected: str) -> None:
    error = errors.ProviderUnavailable("Later.", retry_after=timedelta(seconds=wait))
    assert answer_to(error).headers["Retry-After"] == expected


def test_debug_text_stays_inside() -> None:
    assert "inner" not in answer_to(errors.PolicyDenied("No.", debug="inner")).text


@pytest.mark.asvs("16.5.1")
@pytest.mark.asvs("16.5.4")
def test_unexpected_error_shows_nothing_but_the_request_id() -> None:
    answer = answer_to(RuntimeError("inner secret"))
    assert answer.status_code == 500
    assert "inner" not in answer.text
    assert answer.get_json()["instance"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", "not-found"),
        ("POST", "/page", "method-not-allowed"),
        ("TRACE", "/page", "method-not-allowed"),
    ],
)
def test_router_errors_are_problems(method: str, path: str, expected: str) -> None:
    answer = app_that_raises(ValueError()).test_client().open(path, method=method)
    assert answer.get_json()["type"].endswith(f"/{expected}")


def test_method_not_allowed_names_the_methods() -> None:
    answer = app_that_raises(ValueError()).test_client().post("/api/v1.0/thing")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert answer.get_json()["detail"] == "This address does not know the method. It takes GET."


def test_missing_slash_is_redirected_within_public_url() -> None:
    app = small_app("https://t.example.org/store")
    app.add_url_rule("/api/", view_func=lambda: "documentation")
    answer = app.test_client().get("/api", headers={"Host": "evil.example"})
    assert answer.headers["Location"] == "https://t.example.org/store/api/"


def test_page_errors_are_rendered_by_the_template() -> None:
    answer = answer_to(made(errors.NotLinked), "/page")
    expected = f"404 not-linked {answer.headers['X-Request-Id']} https://t.example.org/store/link/idp1"
    assert (answer.status_code, answer.mimetype, answer.text) == (404, "text/html", expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1.0/idp1/redirect_uri", "text/html"),
        ("/nowhere", "text/html"),
        ("/api/v1.0/thing", "application/problem+json"),
    ],
)
def test_browsers_get_pages_where_people_come_by(path: str, expected: str) -> None:
    assert answer_to(errors.AttemptExpired("Over."), path, BROWSER).mimetype == expected


def test_programs_get_documents_at_callbacks_too() -> None:
    answer = answer_to(errors.AttemptExpired("Over."), "/api/v1.0/idp1/redirect_uri", {"Accept": "*/*"})
    assert answer.mimetype == "application/problem+json"


def test_broken_error_page_still_tells_the_problem() -> None:
    answer = app_that_raises(errors.PolicyDenied("No."), "{{ 1 / 0 }}").test_client().get("/page")
    assert (answer.status_code, answer.get_json()["detail"]) == (403, "No.")

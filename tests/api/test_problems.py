"""Errors over HTTP are problem documents (RFC 9457), and every answer carries the security headers."""

from __future__ import annotations

import pytest

from support.store import API, Store, StorePerson

PROBLEMS = [
    ("GET", f"{API}/idp1/token", "not-linked"),
    ("GET", f"{API}/nope/token", "unknown-provider"),
    ("GET", f"{API}/idp1/token?min_valid=x", "invalid-request"),
    ("GET", f"{API}/nothing", "not-found"),
    ("PUT", f"{API}/authorizations", "method-not-allowed"),
    ("TRACE", "/", "method-not-allowed"),
]


@pytest.mark.parametrize(("method", "path", "slug"), PROBLEMS)
def test_an_error_is_a_problem_document(person: StorePerson, method: str, path: str, slug: str) -> None:
    answer = person.call(method, path)

    problem = answer.json()
    assert answer.headers.get_content_type() == "application/problem+json"
    assert (answer.slug, problem["status"]) == (slug, answer.status)
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(("method", "path", "slug"), PROBLEMS)
def test_the_type_of_a_problem_can_be_read(person: StorePerson, method: str, path: str, slug: str) -> None:
    kind = person.call(method, path).json()["type"]

    page = person.store.call("GET", kind.removeprefix(person.store.url))

    assert kind == f"{person.store.url}/api/errors/{slug}"
    assert page.status == 200


def test_a_request_id_from_outside_is_not_believed(store: Store) -> None:
    answer = store.call("GET", "/healthz", headers={"X-Request-Id": "mine"})

    assert answer.headers["X-Request-Id"] not in {None, "mine"}


def test_a_body_that_is_too_large_is_refused(person: StorePerson) -> None:
    answer = person.call("POST", f"{API}/idp1/token", json_body={"scope": "a" * 100_000})

    assert (answer.status, answer.slug) == (400, "invalid-request")


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded"])
def test_headers_do_not_move_our_addresses(store: Store, person: StorePerson, name: str) -> None:
    answer = person.call("GET", f"{API}/idp1/token", headers={name: "evil.example"})

    assert answer.json()["authorize_url"] == f"{store.url}/link/idp1"


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/readyz", "/api/whoami", f"{API}/authorizations", "/api/oidc/login", "/static/style.css", "/no"],
)
def test_every_answer_carries_the_security_headers(store: Store, path: str) -> None:
    headers = store.call("GET", path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] in {"same-origin", "no-referrer"}


@pytest.mark.parametrize("path", ["/", "/api/whoami", f"{API}/idp1/token", "/api/oidc/login", "/no"])
def test_no_answer_about_people_is_kept_by_anybody(store: Store, path: str) -> None:
    assert store.call("GET", path).headers["Cache-Control"] == "no-store"

"""F-CORS: no origin outside the list may read an answer."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from support.web import small_app
from tokenstore.web.cors import init_cors

ALLOWED = ["https://app.example.org", "http://127.0.0.1:3000", "http://[::1]:3000"]
FOREIGN = [
    "null", "*", "", "https://evil.example", "http://app.example.org", "https://app.example.org:8443",
    "https://app.example.org:443", "https://app.example.org/", "https://app.example.org.evil.example",
    "https://evil-app.example.org", "https://evil.example/app.example.org", "https://sub.app.example.org",
    "https://appXexample.org", "https://app.example.or", "https://app.example.orgg", "HTTPS://APP.EXAMPLE.ORG",
    "https://App.example.org", "https://app.example.org\t", " https://app.example.org", "https://app.example.org.",
    "https://user@app.example.org", "https://app.example.org@evil.example", "https://app.example.org%60.evil.example",
    "https://app.example.org`.evil.example", "https://app.example.org{.evil.example", "https://app.example.org,x",
    "https://app.example.org, https://evil.example", "https://app.example.org https://evil.example", "file://",
    "chrome-extension://abcdef", "moz-extension://abcdef", "https://127.0.0.1:3000", "http://127.0.0.1:3001",
    "http://127.0.0.1", "http://127.0.0.1:30000", "http://localhost:3000", "http://2130706433:3000", "http://:::1:3000",
    "http://[::1]:3001", "http://[::ffff:127.0.0.1]:3000", "data:", "https://\u0430pp.example.org".encode().decode("latin-1"),
]  # fmt: skip


def client(origins: list[str]) -> FlaskClient:
    app = small_app()
    init_cors(app, origins)
    for path in ("/api/v1.0/idp1/token", "/api/whoami", "/api/whoami/more", "/api/oidc/login", "/healthz", "/"):
        app.add_url_rule(path, view_func=lambda: {"a": 1}, endpoint=path.replace(".", "_"), methods=["GET", "POST"])
    return app.test_client()


def cors_headers(answer: TestResponse) -> list[str]:
    return [name for name, _ in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.asvs("3.4.2")
@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_foreign_origin_is_allowed_nothing(origin: str, method: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    answer = client(ALLOWED).open("/api/v1.0/idp1/token", method=method, headers=headers)
    assert cors_headers(answer) == []


@pytest.mark.parametrize("origin", ALLOWED)
def test_listed_origin_may_read_with_credentials(origin: str) -> None:
    answer = client(ALLOWED).get("/api/v1.0/idp1/token", headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]


def test_listed_origin_may_read_problems() -> None:
    answer = client(ALLOWED).get("/api/v1.0/nothing", headers={"Origin": ALLOWED[0]})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, ALLOWED[0])


def test_preflight_of_a_listed_origin_names_methods_and_headers() -> None:
    headers = {
        "Origin": ALLOWED[0],
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization, x-evil",
    }
    answer = client(ALLOWED).options("/api/v1.0/idp1/token", headers=headers)
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/oidc/login", "/api/whoami/more"])
def test_only_data_routes_are_shared(path: str) -> None:
    assert cors_headers(client(ALLOWED).get(path, headers={"Origin": ALLOWED[0]})) == []


def test_no_list_means_no_header_at_all() -> None:
    answer = client([]).get("/api/whoami", headers={"Origin": ALLOWED[0]})
    assert cors_headers(answer) == []
    assert "Vary" not in answer.headers


def test_private_network_access_stays_off() -> None:
    headers = {
        "Origin": ALLOWED[0],
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = client(ALLOWED).options("/api/whoami", headers=headers)
    assert answer.headers.get("Access-Control-Allow-Private-Network") != "true"

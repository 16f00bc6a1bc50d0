"""The API document: it is valid, checked in, made from the code, and describes exactly the routes there are."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from support.local_store import make_app
from support.openapi import DOCUMENT, PATH, example, faults, strays
from tokenstore.api.document import document, text
from tokenstore.api.operations import OPERATIONS

# Pages for people, and redirects to them.
PAGES = ("ui.", "documentation.", "document.to_page")
OTHERWISE = DOCUMENT["components"]["responses"]["otherwise"]
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_PLACE = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application; only what needs no database is asked of it."""
    return make_app(settings(tmp_path_factory))


def settings(tmp_path_factory: pytest.TempPathFactory, **more: object) -> dict[str, object]:
    return {
        "PUBLIC_URL": "https://tokens.example.org",
        "SECRET_KEY": secrets.token_hex(32),
        "CRYPTOKEY": secrets.token_hex(32),
        "INSTANCE_PATH": str(tmp_path_factory.mktemp("instance")),
        "OIDC_DISCOVERY_URL": "https://login.example.org/.well-known/openid-configuration",
        "OIDC_CLIENT_ID": "tokenstore",
        "OIDC_CLIENT_SECRET": secrets.token_hex(16),
        **more,
    }


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, described in methods.items():
            yield method, path, described


def test_the_checked_in_document_is_the_one_that_the_code_makes() -> None:
    assert PATH.read_text(encoding="utf-8") == text(document()), (
        "renew it: .venv/bin/flask tokenstore openapi > docs/reference/openapi.json"
    )


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_the_document_describes_exactly_the_routes_for_programs(app: Flask) -> None:
    routes = {
        (method.lower(), _CONVERTER.sub(r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.endpoint.startswith(PAGES)
    }

    assert {(method, path) for method, path, _ in operations()} == routes


def test_every_place_in_a_path_is_a_parameter() -> None:
    for operation in OPERATIONS:
        named = [one.name for one in operation.parameters if one.where == "path"]
        assert named == _PLACE.findall(operation.path), operation.name


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_example_fits_its_schema() -> None:
    found: list[str] = []
    for method, path, described in operations():
        bodies = [described["requestBody"]] if "requestBody" in described else []
        own = [answer for status, answer in described["responses"].items() if status != "default"]
        for part in [OTHERWISE, *own, *bodies]:
            for content in part.get("content", {}).values():
                named = [one["$ref"].rpartition("/")[2] for one in content.get("examples", {}).values()]
                values = [DOCUMENT["components"]["examples"][name]["value"] for name in named]
                values += [content["example"]] if "example" in content else []
                found += [f"{method} {path}: no example"] if not values else []
                found += [f"{method} {path}: {fault}" for value in values for fault in faults(content["schema"], value)]
        for parameter in described["parameters"]:
            if "example" in parameter:
                found += faults(parameter["schema"], parameter["example"])

    assert found == []


def unexpected(answer: TestResponse, slug: str) -> list[str]:
    """In what an answer is other than the one that goes with no operation in particular."""
    content = OTHERWISE["content"]["application/problem+json"]
    assert slug in content["examples"]
    value = answer.get_json()
    return faults(content["schema"], value) + strays(content["schema"], example(slug), value)


def test_every_operation_may_be_answered_otherwise() -> None:
    for method, path, described in operations():
        assert described["responses"]["default"] == {"$ref": "#/components/responses/otherwise"}, f"{method} {path}"


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_another_method_is_answered_with_those_that_the_address_knows(app: Flask, path: str) -> None:
    place = path.format(provider="idp1", link=uuid4(), session_id=uuid4(), slug="internal")

    answer = app.test_client().put(place)

    assert answer.status_code == 405
    assert {*answer.headers["Allow"].lower().split(", ")} - {"head", "options"} == DOCUMENT["paths"][path].keys()
    assert unexpected(answer, "method-not-allowed") == []


def test_what_nobody_expected_is_answered_as_it_is_documented(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(settings(tmp_path_factory))

    @app.before_request
    def fail() -> None:
        raise RuntimeError("nobody expected this")

    answer = app.test_client().get("/healthz")

    assert answer.status_code == 500
    assert unexpected(answer, "internal") == []


def somebody(*_credentials: str) -> None:
    """A function of USERINFO_MAP."""


def test_the_served_document_is_the_checked_in_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(settings(tmp_path_factory, USERINFO_MAP={"basic": somebody, "apikey-v1": somebody}))

    answer = app.test_client().get("/api/v1.0/openapi.json")

    assert answer.get_json() == DOCUMENT


def test_the_served_document_asks_for_no_credentials_that_are_not_taken(app: Flask) -> None:
    served = app.test_client().get("/api/v1.0/openapi.json").get_json()

    assert served["components"]["securitySchemes"].keys() == {"bearer", "session"}


def test_a_document_that_is_known_is_not_sent_again(app: Flask) -> None:
    first = app.test_client().get("/api/v1.0/openapi.json")

    again = app.test_client().get("/api/v1.0/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"


def test_the_served_document_has_the_statuses_of_old_clients_where_they_are_answered(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    app = make_app(settings(tmp_path_factory, LEGACY_STATUS_CODES=True))

    served = app.test_client().get("/api/v1.0/openapi.json").get_json()

    assert "401" not in served["paths"]["/api/whoami"]["get"]["responses"]
    assert "unauthenticated" in served["paths"]["/api/whoami"]["get"]["responses"]["403"]["description"]


@pytest.mark.parametrize(
    ("path", "leads_to"), [("/api", "/api/"), ("/api/", "/api/v1.0/"), ("/api/v1.0", "/api/v1.0/")]
)
def test_the_api_leads_to_the_page_that_shows_it(app: Flask, path: str, leads_to: str) -> None:
    assert app.test_client().get(path).headers["Location"] == f"https://tokens.example.org{leads_to}"


def test_without_a_public_client_the_page_may_connect_to_the_store_alone(app: Flask) -> None:
    answer = app.test_client().get("/api/v1.0/")

    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]

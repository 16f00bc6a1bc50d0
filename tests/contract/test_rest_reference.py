"""The REST page lists exactly the routes of the application, with their methods."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
from flask import Flask

from tokenstore import create_app
from tokenstore.web.problem_table import BY_SLUG

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rest.md"
# Headings and first cells: `GET, POST /path`.
_OPERATION = re.compile(r"^(?:#+|\|) `((?:[A-Z]+)(?:, [A-Z]+)*) (/[^`]*)`", re.MULTILINE)
_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")

Operation = tuple[str, str]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application; nothing is asked of it but its routes."""
    return create_app(
        {
            "PUBLIC_URL": "http://127.0.0.1:5000",
            "SECRET_KEY": secrets.token_hex(32),
            "CRYPTOKEY": secrets.token_hex(32),
            "INSTANCE_PATH": str(tmp_path_factory.mktemp("instance")),
            "OIDC_DISCOVERY_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
            "OIDC_CLIENT_ID": "tokenstore",
            "OIDC_CLIENT_SECRET": secrets.token_hex(16),
        }
    )


def routed(app: Flask) -> list[Operation]:
    """Method and path of every route, without the methods that come by themselves."""
    return [
        (method, _CONVERTER.sub(r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]


def listed() -> list[Operation]:
    """Method and path of every operation on the page."""
    found = _OPERATION.findall(PAGE.read_text(encoding="utf-8"))
    return [(method, path) for methods, path in found for method in methods.split(", ")]


def test_page_lists_exactly_the_routes_of_the_application(app: Flask) -> None:
    assert sorted(listed()) == sorted(routed(app))


def test_page_names_no_error_that_is_not_in_the_table() -> None:
    lines = re.findall(r"Errors: .*?(?:\n\n|\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    named = {slug for line in lines for slug in re.findall(r"`([a-z-]+)`", line)}

    assert named <= set(BY_SLUG)
    assert named

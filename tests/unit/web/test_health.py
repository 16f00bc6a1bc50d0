"""Liveness and readiness."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from support.web import small_app
from tokenstore.errors import StorageUnavailable
from tokenstore.web.health import health_blueprint


def passing() -> None:
    return None


def failing() -> None:
    raise StorageUnavailable("The database is away.", debug="secret host name")


def client(**checks: bool) -> FlaskClient:
    app = small_app()
    app.register_blueprint(health_blueprint({name: passing if good else failing for name, good in checks.items()}))
    return app.test_client()


@pytest.mark.parametrize("path", ["/readyz", "/api/_health"])
def test_ready_when_all_checks_pass(path: str) -> None:
    answer = client(database=True, keys=True).get(path)
    assert (answer.status_code, answer.get_json()) == (200, {"ready": True})


@pytest.mark.parametrize("path", ["/readyz", "/api/_health"])
def test_not_ready_names_the_failed_checks_and_nothing_else(path: str) -> None:
    answer = client(database=True, keys=False).get(path)
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False, "failed": ["keys"]})


def test_alive_whatever_the_checks_say() -> None:
    assert client(database=False).get("/healthz").status_code == 200

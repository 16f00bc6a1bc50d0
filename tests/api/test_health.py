"""Liveness and readiness, which ask for no credentials and open no session."""

from __future__ import annotations

import pytest

from support.store import Store


def test_liveness_is_told_to_anybody(store: Store) -> None:
    answer = store.call("GET", "/healthz")

    assert (answer.status, answer.json()) == (200, {"alive": True})


@pytest.mark.parametrize("path", ["/readyz", "/api/_health"])
def test_readiness_is_told_to_anybody(store: Store, path: str) -> None:
    answer = store.call("GET", path)

    assert (answer.status, answer.json()) == (200, {"ready": True})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/_health"])
def test_health_opens_no_session(store: Store, path: str) -> None:
    assert store.call("GET", path).headers["Set-Cookie"] is None

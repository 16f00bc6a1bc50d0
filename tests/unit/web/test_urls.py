"""PUBLIC_URL as a value."""

from __future__ import annotations

import pytest

from tokenstore.web.urls import PublicUrl


@pytest.mark.parametrize("text", ["https://t.example.org/store", "https://t.example.org/store/"])
def test_public_url_keeps_its_path_without_the_last_slash(text: str) -> None:
    assert PublicUrl.parse(text).absolute("/link/a") == "https://t.example.org/store/link/a"


def test_public_url_without_path_is_its_origin() -> None:
    assert PublicUrl.parse("http://127.0.0.1:5000/") == PublicUrl("http://127.0.0.1:5000", "")


def test_public_url_tells_host_with_port() -> None:
    assert PublicUrl.parse("http://127.0.0.1:5000").host == "127.0.0.1:5000"


@pytest.mark.parametrize(("text", "expected"), [("https://t.example.org", True), ("http://localhost", False)])
def test_public_url_knows_whether_it_is_https(text: str, expected: bool) -> None:
    assert PublicUrl.parse(text).is_https is expected

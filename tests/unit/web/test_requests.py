"""Public address, proxy hops, request ids, size limit."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify, request, url_for
from flask.testing import FlaskClient

from support.web import small_app
from tokenstore.web.requests import BODY_LIMIT, request_id

GOOD_ID = "0123456789abcdef0123456789abcdef"


def app_that_tells(public_url: str = "https://tokens.example.org", *, proxy_hops: int = 0) -> Flask:
    app = small_app(public_url, proxy_hops=proxy_hops)

    @app.route("/tell", methods=["GET", "POST"])
    def tell() -> Any:
        return jsonify(
            address=request.remote_addr,
            id=request_id(),
            url=request.url,
            own=url_for("tell"),
            size=len(request.get_data()),
        )

    return app


def client(public_url: str = "https://tokens.example.org", *, proxy_hops: int = 0) -> FlaskClient:
    return app_that_tells(public_url, proxy_hops=proxy_hops).test_client()


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Port"])
@pytest.mark.parametrize("hops", [0, 1])
def test_absolute_addresses_are_public_url_whatever_headers_say(header: str, hops: int) -> None:
    answer = client(proxy_hops=hops).get("/tell", headers={header: "evil.example"})
    assert answer.get_json()["url"] == "https://tokens.example.org/tell"


@pytest.mark.parametrize("path", ["/tell", "/store/tell"])
def test_path_of_public_url_is_served_whether_the_proxy_strips_it_or_not(path: str) -> None:
    answer = client("https://t.example.org/store").get(path).get_json()
    assert (answer["url"], answer["own"]) == ("https://t.example.org/store/tell", "/store/tell")


def test_path_that_only_begins_like_public_url_is_not_found() -> None:
    assert client("https://t.example.org/store").get("/storehouse/tell").status_code == 404


@pytest.mark.asvs("4.1.3")
@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, "198.51.100.7", "127.0.0.1"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "127.0.0.1"),
    ],
)
def test_client_address_comes_from_the_trusted_hop(hops: int, forwarded: str, expected: str) -> None:
    answer = client(proxy_hops=hops).get("/tell", headers={"X-Forwarded-For": forwarded})
    assert answer.get_json()["address"] == expected


def test_request_id_is_sent_back() -> None:
    answer = client().get("/tell")
    assert answer.headers["X-Request-Id"] == answer.get_json()["id"]


def test_each_request_has_an_id_of_its_own() -> None:
    caller = client()
    assert caller.get("/tell").headers["X-Request-Id"] != caller.get("/tell").headers["X-Request-Id"]


def test_request_id_of_a_stranger_is_not_taken_over() -> None:
    assert client().get("/tell", headers={"X-Request-Id": GOOD_ID}).headers["X-Request-Id"] != GOOD_ID


def test_request_id_of_our_proxy_is_taken_over() -> None:
    answer = client(proxy_hops=1).get("/tell", headers={"X-Request-Id": GOOD_ID})
    assert answer.headers["X-Request-Id"] == GOOD_ID


@pytest.mark.parametrize("bad", ["short", "x" * 65, "0123456789abcdef <script>", 'a"b' * 8])
def test_malformed_request_id_of_our_proxy_is_replaced(bad: str) -> None:
    assert client(proxy_hops=1).get("/tell", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad


def test_body_up_to_the_limit_is_read() -> None:
    assert client().post("/tell", data=b"x" * BODY_LIMIT).get_json()["size"] == BODY_LIMIT


def test_body_beyond_the_limit_is_refused() -> None:
    assert client().post("/tell", data=b"x" * (BODY_LIMIT + 1)).get_json()["type"].endswith("/invalid-request")

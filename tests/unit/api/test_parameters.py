"""Reading token requests: GET and POST alike, every problem at once, and no other error than InvalidRequest."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.api.parameters import PLAIN, TokenRequest, token_request
from tokenstore.core.model import Asked
from tokenstore.errors import InvalidRequest

APP = Flask("test")
LINK = UUID("6f1f6f1e-0000-4000-8000-000000000001")
NAMES = ["min_valid", "link", "force", "scope", "audience", "resource", "other"]


def get(query: str = "", method: str = "GET") -> TokenRequest:
    """The request of a query."""
    with APP.test_request_context(f"/token?{query}", method=method):
        return token_request()


def post(body: object) -> TokenRequest:
    """The request of a JSON body."""
    with APP.test_request_context("/token", method="POST", json=body):
        return token_request()


def post_raw(body: bytes, content_type: str | None = "application/json") -> TokenRequest:
    """The request of any body."""
    with APP.test_request_context("/token", method="POST", data=body, content_type=content_type):
        return token_request()


def problems_of(request: InvalidRequest) -> list[str]:
    """The parameters that were found wrong."""
    return [problem.pointer for problem in request.errors]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_given_is_a_plain_request(method: str) -> None:
    assert get(method=method) is PLAIN


def test_no_body_and_an_empty_object_are_plain_requests() -> None:
    assert post_raw(b"", None) is PLAIN
    assert post({}) is PLAIN


def test_a_query_is_read() -> None:
    query = urlencode(
        [
            ("min_valid", "90"),
            ("link", str(LINK)),
            ("force", "true"),
            ("scope", "openid email"),
            ("audience", "api"),
            ("resource", "https://a.example"),
            ("resource", "https://b.example"),
        ]
    )
    assert get(query) == TokenRequest(
        LINK,  # type: ignore[arg-type]  # a LinkId is a UUID
        Asked(frozenset({"openid", "email"}), "api", ("https://a.example", "https://b.example")),
        timedelta(seconds=90),
        force=True,
    )


def test_a_body_is_read() -> None:
    body = {
        "min_valid": 90,
        "link": str(LINK),
        "force": True,
        "scope": "openid email",
        "audience": "api",
        "resource": ["https://a.example", "https://b.example"],
    }
    assert post(body) == TokenRequest(
        LINK,  # type: ignore[arg-type]  # a LinkId is a UUID
        Asked(frozenset({"openid", "email"}), "api", ("https://a.example", "https://b.example")),
        timedelta(seconds=90),
        force=True,
    )


def test_a_single_resource_needs_no_list() -> None:
    assert post({"resource": "https://a.example"}).asked.resources == ("https://a.example",)


def test_null_and_empty_text_mean_nothing_asked() -> None:
    body = {"min_valid": None, "link": None, "force": None, "scope": "", "audience": "", "resource": None}
    assert post(body) == PLAIN


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("60", 60), ("86400", 86_400), ("00000060", 60)])
def test_min_valid_takes_whole_seconds_up_to_a_day(text: str, seconds: int) -> None:
    assert get(f"min_valid={text}").min_valid == timedelta(seconds=seconds)


@pytest.mark.parametrize(("text", "force"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_force_in_a_query_is_a_word_or_a_digit(text: str, *, force: bool) -> None:
    assert get(f"force={text}").force is force


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("min_valid=-1", "min_valid"),
        ("min_valid=86401", "min_valid"),
        ("min_valid=1.5", "min_valid"),
        ("min_valid=1e3", "min_valid"),
        ("min_valid=", "min_valid"),
        ("min_valid=%D9%A1", "min_valid"),
        ("min_valid=999999999999999999999", "min_valid"),
        ("min_valid=1&min_valid=2", "min_valid"),
        ("link=7", "link"),
        ("link=%00", "link"),
        ("force=yes", "force"),
        ("force=", "force"),
        ("force=1&force=1", "force"),
        ("scope=a%0Ab", "scope"),
        ("scope=a&scope=b", "scope"),
        ("audience=" + "a" * 2049, "audience"),
        ("resource=", "resource"),
        ("resource=a%0d", "resource"),
        ("&".join(["resource=https://a.example"] * 17), "resource"),
        ("provider=x", "provider"),
    ],
)
def test_an_odd_query_is_refused_by_the_name_of_its_parameter(query: str, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        get(query)
    assert problems_of(caught.value) == [name]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"min_valid": True}, "min_valid"),
        ({"min_valid": 1.5}, "min_valid"),
        ({"min_valid": [60]}, "min_valid"),
        ({"min_valid": -1}, "min_valid"),
        ({"link": 7}, "link"),
        ({"link": [str(LINK)]}, "link"),
        ({"force": 1}, "force"),
        ({"force": []}, "force"),
        ({"scope": ["openid"]}, "scope"),
        ({"scope": "\ud800"}, "scope"),
        ({"audience": {}}, "audience"),
        ({"resource": [1]}, "resource"),
        ({"resource": [""]}, "resource"),
        ({"resource": {}}, "resource"),
        ({"": 1}, ""),
    ],
)
def test_an_odd_body_is_refused_by_the_name_of_its_member(body: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        post(body)
    assert problems_of(caught.value) == [name]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        get("b=1&a=1&min_valid=x&link=x&force=x")
    assert problems_of(caught.value) == ["a", "b", "link", "min_valid", "force"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"force": true}', "text/plain"),
        (b'{"force": true}', None),
        (b"force=true", "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 200_000, "application/json"),
        (b'{"a":' * 200_000, "application/json"),
        (b'{"min_valid": ' + b"9" * 5000 + b"}", "application/json"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, content_type: str | None) -> None:
    with pytest.raises(InvalidRequest):
        post_raw(body, content_type)


ANY_TEXT = st.text(st.characters(categories=None))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, ANY_JSON, max_size=6))
def test_no_body_makes_another_error_than_invalid_request(body: dict[str, Any]) -> None:
    try:
        wanted = post_raw(json.dumps(body).encode())
    except InvalidRequest:
        return
    assert timedelta() <= wanted.min_valid <= timedelta(days=1)


@given(st.binary())
def test_no_bytes_make_another_error_than_invalid_request(body: bytes) -> None:
    try:
        assert post_raw(body) in (PLAIN, post_raw(body))
    except InvalidRequest:
        return


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]))), max_size=6))
def test_no_query_makes_another_error_than_invalid_request(pairs: list[tuple[str, str]]) -> None:
    try:
        wanted = get(urlencode(pairs))
    except InvalidRequest:
        return
    assert len(wanted.asked.resources) <= 16


@given(st.from_regex(r"[!-~]*", fullmatch=True).filter(lambda text: "#" not in text))
def test_no_raw_query_makes_another_error_than_invalid_request(query: str) -> None:
    try:
        wanted = get(query)
    except InvalidRequest:
        return
    assert isinstance(wanted.force, bool)

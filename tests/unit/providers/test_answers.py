from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.issuing import make_provider
from tokenstore.core.model import (
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.secret import Secret
from tokenstore.providers.answers import read_token_response
from tokenstore.providers.messages import Response

PROVIDER = make_provider()
GOOD = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt"}


def answer(
    body: object, status: int = 200, content_type: str = "application/json", retry_after: str | None = None
) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, data, content_type, retry_after)


def read(body: object, provider: Provider = PROVIDER, **kwargs: Any) -> Outcome:
    return read_token_response(provider, answer(body, **kwargs))


def tokens(body: object, provider: Provider = PROVIDER, **kwargs: Any) -> TokenSet:
    outcome = read(body, provider, **kwargs)
    assert isinstance(outcome, Granted)
    return outcome.tokens


def test_a_good_answer_is_granted() -> None:
    assert tokens({**GOOD, "scope": "openid email", "id_token": "a.b.c"}) == TokenSet(
        access_token=Secret("at"),
        expires_in=timedelta(seconds=3570),
        refresh_token=Secret("rt"),
        scopes=frozenset({"openid", "email"}),
        id_token=Secret("a.b.c"),
    )


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"access_token=at&token_type=bearer&scope=repo%2Cuser", "application/x-www-form-urlencoded"),
        (b"access_token=at&token_type=bearer&scope=repo,user", "text/plain; charset=utf-8"),
        (b"token_type=bearer&access_token=at&scope=repo,user", "application/x-www-form-urlencoded;charset=UTF-8"),
    ],
)
def test_a_form_is_read_where_type_or_shape_says_so(body: bytes, content_type: str) -> None:
    provider = make_provider(scope_separator=",")
    found = tokens(body, provider, content_type=content_type)
    assert (found.access_token, found.scopes) == (Secret("at"), frozenset({"repo", "user"}))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>", "text/html"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'"access_token"', "application/json"),
        (b"access_token=a&access_token=b&token_type=bearer", "application/x-www-form-urlencoded"),
        (b"access_token", "application/x-www-form-urlencoded"),
        (b'{"access_token": "a", "access_token": "b", "token_type": "bearer"}', "application/json"),
        (b'{"access_token": NaN}', "application/json"),
        (b"&".join(b"a%d=b" % number for number in range(100)), "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_answer_leaves_it_unclear(body: bytes, content_type: str) -> None:
    assert read(body, content_type=content_type) == Unclear("no-token-answer")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"access_token": None}, "no-access-token"),
        ({"access_token": ""}, "no-access-token"),
        ({"access_token": 7}, "no-access-token"),
        ({"access_token": ["at"]}, "no-access-token"),
        ({"access_token": "a\nb"}, "no-access-token"),
        ({"access_token": "ä"}, "no-access-token"),
        ({"token_type": None}, "token-type"),
        ({"token_type": "mac"}, "token-type"),
        ({"token_type": ["bearer"]}, "token-type"),
    ],
)
def test_a_refresh_token_in_a_useless_answer_is_saved(changes: dict[str, Any], reason: str) -> None:
    assert read({**GOOD, **changes}) == Unclear(reason, Secret("rt"))


@pytest.mark.parametrize("value", [7, ["rt"], {"a": 1}, True, "r\nt"])
def test_a_refresh_token_that_is_none_leaves_it_unclear(value: object) -> None:
    assert read({**GOOD, "refresh_token": value}) == Unclear("refresh-token")


@pytest.mark.parametrize("value", [None, ""])
def test_no_refresh_token_is_granted_without_one(value: object) -> None:
    assert tokens({**GOOD, "refresh_token": value}).refresh_token is None


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", "Bearer"])
def test_the_token_type_is_read_in_any_case(token_type: str) -> None:
    assert tokens({**GOOD, "token_type": token_type}).access_token == Secret("at")


@pytest.mark.parametrize("status", [200, 400, 401, 500, 503])
def test_a_terminal_error_is_refused_at_any_status(status: int) -> None:
    assert read({"error": "invalid_grant"}, status=status) == Refused("invalid_grant")


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"])
def test_what_the_operator_has_to_mend_is_misconfigured(code: str, status: int) -> None:
    assert read({**GOOD, "error": code}, status=status) == Misconfigured(code)


@pytest.mark.parametrize("code", ["invalid_scope", "invalid_target"])
def test_a_refused_scope_or_target_is_told_apart(code: str) -> None:
    assert read({"error": code}, status=400) == ScopeRefused(code)


@pytest.mark.parametrize("code", ["server_error", "temporarily_unavailable", "slow_down"])
def test_a_passing_error_code_is_unavailable(code: str) -> None:
    assert read({"error": code}, status=400) == Unavailable(code)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b'{"error": "invalid_request"}', b"<html>"])
def test_a_passing_status_is_unavailable(status: int, body: bytes) -> None:
    assert read(body, status=status, retry_after="7") == Unavailable(f"status-{status}", timedelta(seconds=7))


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404])
def test_another_status_without_a_code_is_misconfigured(status: int) -> None:
    assert read(b"", status=status) == Misconfigured(f"status-{status}")


def test_good_tokens_at_another_status_than_200_leave_it_unclear() -> None:
    assert isinstance(read(GOOD, status=202), Unclear)


def test_slack_says_no_with_ok_false() -> None:
    assert read({**GOOD, "ok": False}) == Misconfigured("other")


@pytest.mark.parametrize("error", ["<script>alert(1)</script>", ["invalid_grant"], {"code": 1}, True, 7])
def test_text_of_the_provider_never_becomes_a_code(error: object) -> None:
    assert read({**GOOD, "error": error}, status=400) == Misconfigured("other")


@pytest.mark.parametrize("error", [None, "", False, []])
def test_an_empty_error_is_none(error: object) -> None:
    assert tokens({**GOOD, "error": error}).access_token == Secret("at")


def test_a_missing_lifetime_is_the_default_of_the_provider() -> None:
    provider = make_provider(default_expires_in=timedelta(seconds=100))
    without = {name: value for name, value in GOOD.items() if name != "expires_in"}
    assert tokens(without, provider).expires_in == timedelta(seconds=90)
    assert tokens(without).expires_in is None


def test_an_end_that_the_provider_computed_is_not_used() -> None:
    without = {name: value for name, value in GOOD.items() if name != "expires_in"}
    assert tokens({**without, "expires_at": 4102444800}).expires_in is None


@pytest.mark.parametrize(
    ("members", "life", "never"),
    [
        ({}, None, False),
        ({"refresh_expires_in": 1800}, timedelta(seconds=1800), False),
        ({"refresh_expires_in": 0}, None, True),
        ({"refresh_expires_in": "0"}, None, True),
        ({"refresh_expires_in": False}, None, False),
        ({"refresh_token_expires_in": "15811200"}, timedelta(seconds=15811200), False),
        ({"refresh_token_expires_in": 0}, None, False),
        ({"refresh_expires_in": 60, "refresh_token_expires_in": 50}, timedelta(seconds=50), False),
        ({"refresh_expires_in": 0, "refresh_token_expires_in": 50}, timedelta(seconds=50), False),
    ],
)
def test_the_life_of_the_refresh_token_is_read(members: dict[str, Any], life: timedelta | None, never: bool) -> None:
    found = tokens({**GOOD, **members})
    assert (found.refresh_expires_in, found.refresh_never_expires) == (life, never)


@pytest.mark.parametrize(
    ("members", "scopes"),
    [
        ({}, None),
        ({"scope": None}, None),
        ({"scope": ""}, frozenset()),
        ({"scope": "a  b:c https://x/y"}, frozenset({"a", "b:c", "https://x/y"})),
        ({"scope": 'a "b'}, frozenset({"a", "b"})),
        ({"scope": ["a"]}, None),
    ],
)
def test_the_granted_scope_is_read(members: dict[str, Any], scopes: frozenset[str] | None) -> None:
    assert tokens({**GOOD, **members}).scopes == scopes


def test_only_fields_asked_for_are_kept() -> None:
    body = {**GOOD, "orcid": "0000-0002", "user": {"id": 7, "mail": "x"}, "other": 1}
    outcome = read_token_response(PROVIDER, answer(body), keep=["orcid", "user.id", "absent"])
    assert isinstance(outcome, Granted)
    assert outcome.tokens.extra == {"orcid": "0000-0002", "user.id": 7}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
members = st.dictionaries(
    st.sampled_from(
        [
            *("access_token", "refresh_token", "token_type", "expires_in", "scope", "error", "ok", "id_token"),
            *("refresh_expires_in", "refresh_token_expires_in", "expires_at"),
        ]
    )
    | st.text(),
    st.sampled_from(["at", "bearer", "invalid_grant", "", "1e400", 1e400, -1, 0]) | json_values,
)
bodies = (
    members.map(lambda found: json.dumps(found).encode())
    | st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
)


@given(
    bodies,
    st.integers(100, 599),
    st.sampled_from(["application/json", "text/html", "application/x-www-form-urlencoded", "", "\0"]) | st.text(),
    st.none() | st.text(),
)
@example(b'{"access_token":"a","token_type":"bearer","expires_in":1e400}', 200, "", "9" * 400)
@example(b'{"a":' * 100_000, 200, "", None)
@example(b"[" * 100_000, 200, "", None)
def test_reading_never_raises(body: bytes, status: int, content_type: str, retry_after: str | None) -> None:
    outcome = read_token_response(PROVIDER, Response(status, body, content_type, retry_after, retry_after))
    assert isinstance(outcome, Outcome)


@given(members, st.integers(100, 599))
def test_nothing_with_an_error_or_another_status_is_granted(found: dict[str, Any], status: int) -> None:
    outcome = read(found, status=status)
    if found.get("error") or found.get("ok") is False or status != 200:
        assert not isinstance(outcome, Granted)


@given(members)
def test_whatever_is_granted_is_well_formed(found: dict[str, Any]) -> None:
    outcome = read({**GOOD, **found})
    if isinstance(outcome, Granted):
        granted = outcome.tokens
        assert granted.access_token.reveal().isascii()
        assert granted.expires_in is None or timedelta() < granted.expires_in < timedelta(days=40_000)
        assert granted.refresh_token is None or granted.refresh_token.reveal().isprintable()

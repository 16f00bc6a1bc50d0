"""Refresh tokens in answers that are otherwise useless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.issuing import make_provider
from tokenstore.core.model import Granted, Refused, Unclear
from tokenstore.core.secret import Secret
from tokenstore.providers.answers import read_token_response
from tokenstore.providers.messages import Response
from tokenstore.providers.salvage import salvaged_refresh_token

ODD_ANSWERS = {
    "duplicate member": b'{"access_token":"a","token_type":"Bearer","scope":"x","scope":"x","refresh_token":"new"}',
    "byte order mark": b'\xef\xbb\xbf{"access_token":"a","token_type":"Bearer","refresh_token":"new"}',
    "a byte that is no UTF-8": b'{"access_token":"a","token_type":"Bearer","refresh_token":"new","name":"\xe9"}',
    "a lone surrogate": b'{"access_token":"a","token_type":"Bearer","refresh_token":"new","name":"\\ud800"}',
    "NaN": b'{"access_token":"a","token_type":"Bearer","expires_in":NaN,"refresh_token":"new"}',
    "text after the object": b'{"access_token":"a","token_type":"Bearer","refresh_token":"new"}<!-- served -->',
    "the same token twice": b'{"refresh_token":"new","access_token":"a","token_type":"Bearer","refresh_token":"new"}',
    "a passing error beside tokens": b'{"error":"temporarily_unavailable","access_token":"a","refresh_token":"new"}',
}


@pytest.mark.parametrize("body", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_odd_answer_never_loses_its_refresh_token(body: bytes) -> None:
    outcome = read_token_response(make_provider(), Response(200, body, "application/json"))

    assert isinstance(outcome, Unclear)
    assert outcome.refresh_token == Secret("new")


def test_another_success_status_never_loses_its_refresh_token() -> None:
    body = b'{"access_token":"a","token_type":"Bearer","refresh_token":"new"}'

    outcome = read_token_response(make_provider(), Response(201, body, "application/json"))

    assert isinstance(outcome, Unclear)
    assert outcome.refresh_token == Secret("new")


def test_a_terminal_error_stays_one_whatever_stands_beside_it() -> None:
    body = b'{"error":"invalid_grant","refresh_token":"new"}'

    assert read_token_response(make_provider(), Response(400, body, "application/json")) == Refused("invalid_grant")


def test_a_good_answer_is_read_as_before() -> None:
    body = b'{"access_token":"a","token_type":"Bearer","refresh_token":"new"}'

    assert isinstance(read_token_response(make_provider(), Response(200, body, "application/json")), Granted)


@pytest.mark.parametrize(
    "body",
    [
        b'{"refresh_token":"one","refresh_token":"two"}',
        b'{"nested":{"refresh_token":"new"}}',
        b'{"refresh_token":7}',
        b'{"refresh_token":""}',
        b'{"refresh_token":"a\\nb"}',
        b'["refresh_token"]',
        b"<html>refresh_token</html>",
        b"",
        b"[" * 60_000,
    ],
)
def test_nothing_doubtful_is_salvaged(body: bytes) -> None:
    assert salvaged_refresh_token(body) is None


@given(st.binary(max_size=200))
def test_salvage_never_raises(body: bytes) -> None:
    salvaged_refresh_token(body)

"""Redeeming a code: once, and what each answer means to the person who waits."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import pytest

from support.core_world import provider
from support.fake_provider import FakeProviderClient, granted
from support.fakes import fake_stores
from tokenstore.core.attempts import Attempts
from tokenstore.core.exchange import Redeemed, redeem, with_callback_fields
from tokenstore.core.model import (
    Attempt,
    Callback,
    Granted,
    Misconfigured,
    Outcome,
    Purpose,
    Refused,
    ScopeRefused,
    Unavailable,
    Unclear,
)
from tokenstore.core.places import Places
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, ProviderMisconfigured, ProviderUnavailable, TokenStoreError


def attempt() -> Attempt:
    """An attempt under way."""
    client = FakeProviderClient()
    Attempts(fake_stores().attempts, client, Places()).begin(
        Purpose.LINK, provider(), user=None, session_key="s", return_url="/"
    )
    return client.begun[0]


def test_a_good_code_gives_tokens_and_the_time_of_sending() -> None:
    client = FakeProviderClient(exchanges=[granted("a", refresh="r")])
    before = monotonic()
    redeemed = redeem(client, provider(), attempt(), Secret("code"))
    assert isinstance(redeemed, Redeemed)
    assert redeemed.tokens.refresh_token == Secret("r")
    assert before <= redeemed.sent <= monotonic()
    assert client.exchanged == ["code"]


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Refused("invalid_grant"), LinkDenied),
        (ScopeRefused("invalid_scope"), LinkDenied),
        (Misconfigured("invalid_client"), ProviderMisconfigured),
        (Unavailable("status-503"), ProviderUnavailable),
        (Unclear("read-timeout"), ProviderUnavailable),
    ],
)
def test_a_code_is_sent_once_whatever_the_answer(outcome: Outcome, error: type[TokenStoreError]) -> None:
    client = FakeProviderClient(exchanges=[outcome])
    with pytest.raises(error) as caught:
        redeem(client, provider(), attempt(), Secret("code"))
    assert client.exchanged == ["code"]
    assert caught.value.debug in {"invalid_grant", "invalid_scope", "invalid_client", "status-503", "read-timeout"}


def test_a_refresh_token_in_a_useless_answer_is_handed_on() -> None:
    strays: list[Secret] = []
    client = FakeProviderClient(exchanges=[Unclear("token-type", Secret("stray"))])
    with pytest.raises(ProviderUnavailable):
        redeem(client, provider(), attempt(), Secret("code"), strays.append)
    assert strays == [Secret("stray")]


def test_parameters_of_the_redirect_that_a_setting_names_are_kept_if_they_came_once() -> None:
    at = replace(provider(), keep_callback_fields=("realmId", "twice", "gone"))
    callback = Callback({"realmId": ("r-1",), "twice": ("a", "b"), "other": ("x",)})
    answer = granted()
    assert isinstance(answer, Granted)
    kept = with_callback_fields(answer.tokens, at, callback)
    assert kept.extra == {"realmId": "r-1"}

"""Tokens of another account are told apart; an answer that says nothing is not another account's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.issuing import ISSUER, id_claims, make_provider, sign
from tokenstore.core.model import Account, Provider, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.providers.sameness import shows_another

ACCOUNT = Account(ISSUER, "248289761001")


def tokens(extra: dict[str, Any] | None = None, id_token: Secret | None = None, **claims: Any) -> TokenSet:
    if claims and id_token is None:
        id_token = sign(id_claims(**claims))
    return TokenSet(Secret("at"), id_token=id_token, extra=extra or {})


def another(found: TokenSet, provider: Provider | None = None, account: Account = ACCOUNT) -> bool:
    return shows_another(provider or make_provider(), account, found)


def test_the_same_subject_and_issuer_are_the_same_account() -> None:
    assert not another(tokens(nonce=None))


def test_an_answer_without_an_id_token_says_nothing() -> None:
    assert not another(tokens())


@pytest.mark.parametrize(
    "claims", [{"sub": "another"}, {"iss": "https://elsewhere.example"}, {"sub": ["248289761001"]}]
)
def test_another_subject_or_issuer_is_another_account(claims: dict[str, Any]) -> None:
    assert another(tokens(**claims))


def test_the_configured_field_is_compared() -> None:
    provider, account = make_provider(subject_field="oid"), Account(ISSUER, "o-1")
    assert not another(tokens(sub="anything", oid="o-1"), provider, account)
    assert another(tokens(sub="anything", oid="o-2"), provider, account)
    assert not another(tokens(sub="anything"), provider, account)


def test_the_field_of_the_token_response_is_compared_too() -> None:
    provider, account = make_provider(subject_field="id"), Account(ISSUER, "7")
    assert not another(tokens({"id": 7}), provider, account)
    assert another(tokens({"id": 8}), provider, account)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.!.c", "a.W10.c", "a.e30.", "a.eyJpc3MiOiJ4In0.c.d"])
def test_an_id_token_that_cannot_be_read_says_nothing(text: str) -> None:
    assert not another(tokens(id_token=Secret(text)))


def test_an_unsigned_id_token_is_read() -> None:
    # {"sub": "x"}: some providers do not sign the ID token of a refresh.
    assert another(tokens(id_token=Secret("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_comparing_never_raises(text: str) -> None:
    another(tokens(id_token=Secret(text)))

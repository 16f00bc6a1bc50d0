"""Tokens of another account are told apart; an answer that says nothing is not another account's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.issuing import ISSUER, id_claims, make_provider, sign
from tokenstore.core.model import Account, Provider, ProviderKind, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.providers.sameness import others, shows_another_issuer

ACCOUNT = Account(ISSUER, "248289761001")


def tokens(extra: dict[str, Any] | None = None, id_token: Secret | None = None, **claims: Any) -> TokenSet:
    if claims and id_token is None:
        id_token = sign(id_claims(**claims))
    return TokenSet(Secret("at"), id_token=id_token, extra=extra or {})


def another(found: TokenSet, provider: Provider | None = None, account: Account = ACCOUNT) -> bool:
    return bool(others(provider or make_provider(), account, found))


def test_the_same_subject_and_issuer_are_the_same_account() -> None:
    assert not another(tokens(nonce=None))


def test_an_answer_without_an_id_token_says_nothing() -> None:
    assert not another(tokens())


@pytest.mark.parametrize("subject", ["another", ["248289761001"]])
def test_another_subject_is_another_account(subject: object) -> None:
    assert another(tokens(sub=subject))


def test_whose_the_tokens_are_is_told_as_far_as_it_can_be() -> None:
    assert others(make_provider(), ACCOUNT, tokens(sub="another")) == (Account(ISSUER, "another"),)
    assert others(make_provider(), ACCOUNT, tokens(sub=["another"])) == (None,)


def test_another_issuer_is_told_apart_from_another_account() -> None:
    found = tokens(iss="https://elsewhere.example")
    assert not another(found)
    assert shows_another_issuer(make_provider(), ACCOUNT, found)
    assert not shows_another_issuer(make_provider(), ACCOUNT, tokens(nonce=None))
    assert not shows_another_issuer(make_provider(), ACCOUNT, tokens())


def test_an_issuer_is_not_compared_with_that_of_an_account_that_no_id_token_named() -> None:
    provider = make_provider(kind=ProviderKind.OAUTH2)
    assert not shows_another_issuer(provider, ACCOUNT, tokens(iss="https://elsewhere.example"))


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
    shows_another_issuer(make_provider(), ACCOUNT, tokens(id_token=Secret(text)))

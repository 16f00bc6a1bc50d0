"""Which account a user may link: the matrix of `ACCOUNT_MATCH`."""

from __future__ import annotations

import pytest

from support.core_world import provider
from tokenstore.core.accounts import allowed, check_account, folded, shown
from tokenstore.core.model import Account, Identity, Profile
from tokenstore.errors import AccountMismatch

LOGIN = "https://login.example"
OTHER = "https://idp.example"
USER = Profile(Identity(LOGIN, "ada"), "Ada", "Ada@Example.org", email_verified=True)


def account(issuer: str = OTHER, subject: str = "x", email: str | None = None, *, verified: bool = True) -> Account:
    """An account at a provider."""
    return Account(issuer, subject, email=email, email_verified=verified)


@pytest.mark.parametrize(
    ("match", "linked", "yes"),
    [
        ("auto", account(OTHER, "anybody"), True),
        ("auto", account(LOGIN, "ada"), True),
        ("auto", account(LOGIN, "bob"), False),
        ("sub", account(OTHER, "ada"), True),
        ("sub", account(OTHER, "bob"), False),
        ("any", account(LOGIN, "bob"), True),
        ("email", account(email="Ada@example.ORG"), True),
        ("email", account(email="ada@example.org"), False),
        ("email", account(email="Ada@example.com"), False),
        ("email", account(email="Ada@Example.org", verified=False), False),
        ("email", account(email=None), False),
        ("unknown", account(LOGIN, "ada"), False),
        ("", account(LOGIN, "ada"), False),
    ],
)
def test_the_policy_of_the_provider_decides(match: str, linked: Account, *, yes: bool) -> None:
    assert allowed(match, USER, linked) is yes


@pytest.mark.parametrize(
    "user",
    [
        Profile(USER.identity, email="Ada@Example.org", email_verified=False),
        Profile(USER.identity, email=None, email_verified=True),
    ],
)
def test_an_address_that_the_login_provider_did_not_verify_matches_nothing(user: Profile) -> None:
    assert not allowed("email", user, account(email="Ada@Example.org"))


def test_an_allowed_account_passes() -> None:
    check_account(provider(account_match="any"), USER, account())


def test_a_refusal_names_both_accounts() -> None:
    with pytest.raises(AccountMismatch) as caught:
        check_account(provider(account_match="sub"), USER, Account(OTHER, "bob", "Bob", "bob@example.org"))
    assert "Ada <Ada@Example.org>" in caught.value.detail
    assert "Bob <bob@example.org>" in caught.value.detail


@pytest.mark.parametrize(
    ("name", "email", "text"),
    [
        ("Ada", "a@b", "Ada <a@b>"),
        ("Ada", None, "Ada"),
        (None, "a@b", "<a@b>"),
        (None, None, "sub-1"),
        ("", "", "sub-1"),
    ],
)
def test_an_account_is_shown_by_name_and_address_or_else_by_subject(
    name: str | None, email: str | None, text: str
) -> None:
    assert shown(name, email, "sub-1") == text


@pytest.mark.parametrize(
    ("address", "same"), [("A@EXAMPLE.org", "A@example.org"), ("a@b@C", "a@b@c"), ("none", "@none")]
)
def test_only_the_domain_of_an_address_is_folded(address: str, same: str) -> None:
    assert folded(address) == same

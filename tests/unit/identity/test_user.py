"""Claims into users."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.identity.user import scopes_of, user_from_claims

ROLES = ("realm_access.roles", "roles")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_a_user_is_what_the_claims_say() -> None:
    claims = {
        "sub": "ada",
        "name": "Ada",
        "email": "ada@example.org",
        "email_verified": True,
        "realm_access": {"roles": ["admin", "user"]},
        "scope": "openid email",
    }
    user = user_from_claims(claims, ROLES)
    assert (user.id, user.name, user.email, user.email_verified) == ("ada", "Ada", "ada@example.org", True)
    assert (user.roles, user.scopes, user.claims) == (("admin", "user"), ("openid", "email"), claims)


def test_a_user_with_a_bare_subject_has_nothing_else() -> None:
    user = user_from_claims({"sub": "ada"}, ROLES)
    assert (user.name, user.email, user.email_verified, user.roles, user.scopes) == (None, None, False, (), ())


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada", "preferred_username": "ada1"}, "Ada"),
        ({"name": "", "preferred_username": "ada1"}, "ada1"),
        ({"name": ["Ada"]}, None),
    ],
)
def test_the_user_name_stands_in_for_a_missing_name(claims: dict[str, Any], name: str | None) -> None:
    assert user_from_claims({"sub": "ada", **claims}, ROLES).name == name


@pytest.mark.parametrize("value", ["true", 1, None, "yes", [True]])
def test_an_address_is_verified_only_by_a_true_boolean(value: object) -> None:
    assert not user_from_claims({"sub": "ada", "email_verified": value}, ROLES).email_verified


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"roles": ["a"]}, ("a",)),
        ({"realm_access": {"roles": ["a"]}, "roles": ["b"]}, ("a",)),
        ({"realm_access": {"roles": []}, "roles": ["b"]}, ("b",)),
        ({"realm_access": "x", "roles": ["b", 1, None]}, ("b",)),
        ({"realm_access.roles": ["dotted"]}, ("dotted",)),
        ({"roles": "admin"}, ()),
        ({"roles": {"admin": True}}, ()),
    ],
)
def test_roles_come_from_the_first_claim_that_lists_some(claims: dict[str, Any], roles: tuple[str, ...]) -> None:
    assert user_from_claims({"sub": "ada", **claims}, ROLES).roles == roles


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [("a b", ["a", "b"]), ("", []), (None, []), (["a", "b"], ["a", "b"]), (["a", 1], ["a"]), (7, [])],
)
def test_scopes_are_read_from_text_or_list(scope: object, scopes: list[str]) -> None:
    assert scopes_of({"scope": scope}) == scopes


@given(st.dictionaries(st.sampled_from(["name", "email", "scope", "roles", "realm_access", "email_verified"]), JSON))
def test_odd_claims_make_no_error(claims: dict[str, Any]) -> None:
    user = user_from_claims({"sub": "ada", **claims}, ROLES)
    assert all(isinstance(text, str) for text in (*user.roles, *user.scopes))

"""API keys and passwords: which functions are taken, what they are called with, and what they may return."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from tokenstore.core.model import CallerKind, Identity
from tokenstore.errors import BadCredentials, TokenStoreError
from tokenstore.identity import userinfo
from tokenstore.identity.user import Authenticated
from tokenstore.identity.userinfo import ApiKeyScheme, BasicScheme, function_of, user_of

APP = Flask("test")
ISSUER = "https://login.example"


@dataclass
class Person:
    """A user as the reference's functions return one."""

    id: str = "ada"
    name: str = "Ada"
    email: str = "ada@example.org"
    email_verified: bool = True
    roles: list[str] = field(default_factory=lambda: ["user"])
    scopes: list[str] = field(default_factory=lambda: ["tokens"])
    claims: dict[str, Any] = field(default_factory=dict)


def one_key(credentials: dict[str, str]) -> Person | None:
    """One key is good."""
    return Person() if credentials == {"token": "good-key"} else None


def one_password(credentials: dict[str, str]) -> Person | None:
    """One pair is good."""
    return Person() if credentials == {"username": "ada", "password": "p:w"} else None


def ask(scheme: ApiKeyScheme | BasicScheme, headers: Mapping[str, str]) -> Authenticated | None:
    with APP.test_request_context(headers=dict(headers)):
        return scheme.authenticate()


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def test_a_good_key_names_its_user() -> None:
    got = ask(ApiKeyScheme(one_key, ISSUER), {"X-Api-Key": "good-key"})
    assert got is not None
    assert (got.caller.kind, got.caller.identity) == (CallerKind.API_KEY, Identity(ISSUER, "ada"))
    assert (got.caller.scopes, got.user.roles, got.user.email) == (
        frozenset({"tokens"}),
        ("user",),
        "ada@example.org",
    )


def test_a_password_may_hold_a_colon() -> None:
    got = ask(BasicScheme(one_password, ISSUER), basic("ada:p:w"))
    assert got is not None
    assert (got.caller.kind, got.caller.identity) == (CallerKind.BASIC, Identity(ISSUER, "ada"))


def test_without_their_header_the_schemes_know_nobody() -> None:
    assert ask(ApiKeyScheme(one_key, ISSUER), {}) is None
    assert ask(BasicScheme(one_password, ISSUER), {"Authorization": "Bearer x"}) is None


@pytest.mark.parametrize("key", ["", "bad-key", "x" * (userinfo.MOST + 1)])
def test_a_key_that_is_there_and_bad_is_refused(key: str) -> None:
    with pytest.raises(BadCredentials):
        ask(ApiKeyScheme(one_key, ISSUER), {"X-Api-Key": key})


def test_without_a_function_every_key_is_refused() -> None:
    with pytest.raises(BadCredentials):
        ask(ApiKeyScheme(None, ISSUER), {"X-Api-Key": "good-key"})


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic !!!", "Basic YWRh", "Basic //8=", *basic(":p").values(), *basic("ada:x").values()],
)
def test_anything_but_a_good_pair_is_refused(header: str) -> None:
    with pytest.raises(BadCredentials):
        ask(BasicScheme(one_password, ISSUER), {"Authorization": header})


def test_a_function_that_fails_is_an_error_of_ours_that_tells_no_credentials() -> None:
    def broken(credentials: dict[str, str]) -> None:
        raise RuntimeError(f"no such key {credentials['token']}")

    with pytest.raises(TokenStoreError) as caught:
        ask(ApiKeyScheme(broken, ISSUER), {"X-Api-Key": "canary-key"})

    assert not isinstance(caught.value, BadCredentials)
    assert "canary" not in caught.value.detail + caught.value.debug
    assert caught.value.__suppress_context__


def test_a_function_may_return_a_mapping_and_name_another_issuer() -> None:
    found = {"id": "7", "claims": {"iss": "https://keys.example"}, "scopes": ("a", "b"), "roles": {"x"}}
    got = ask(ApiKeyScheme(lambda _: found, ISSUER), {"X-Api-Key": "k"})
    assert got is not None
    assert got.caller.identity == Identity("https://keys.example", "7")
    assert (got.user.scopes, got.user.roles, got.user.name, got.user.email_verified) == (
        ("a", "b"),
        ("x",),
        None,
        False,
    )


@pytest.mark.parametrize("found", [object(), {}, {"id": ""}, Person(id="")])
def test_a_user_without_an_id_is_none(found: object) -> None:
    with pytest.raises(ValueError, match="id"):
        user_of(found)


def test_a_function_is_found_by_its_name() -> None:
    assert function_of("os.path:basename")("/a/b") == "b"
    assert function_of(one_key) is one_key


@pytest.mark.parametrize(
    "value", ["", "os.path", "os.path:", "no_such_module:x", "os:no_such", "os:name", 7, None, "a:b:c"]
)
def test_what_is_no_function_is_told_in_words(value: object) -> None:
    with pytest.raises(ValueError, match=r"^(is|names) "):
        function_of(value)


@pytest.mark.parametrize("identifier", ["ada\0mallory", "", " ", "x" * 256, "\ud800", True, 1.5, None])
def test_an_id_that_is_no_subject_is_nobodys(identifier: object) -> None:
    with pytest.raises(ValueError, match="no subject"):
        user_of({"id": identifier})


def test_a_number_is_an_id() -> None:
    assert user_of({"id": 7}).id == "7"


@pytest.mark.parametrize("issuer", ["https://login.example\0", "", 7.5, ["https://login.example"]])
def test_a_claimed_issuer_that_is_none_is_refused(issuer: object) -> None:
    with pytest.raises(ValueError, match="issuer"):
        user_of({"id": "ada", "claims": {"iss": issuer}})

"""Provider ids, whose setting a name is, and names that are no setting."""

from __future__ import annotations

import pytest

from support.settings import good_settings, token_provider
from tokenstore.config import Examined, examine


def with_providers(*ids: str, **changes: object) -> Examined:
    settings = good_settings(TOKEN_PROVIDERS=list(ids), **changes)
    for one in ids:
        settings = token_provider(one) | settings
    return examine(settings, {})


@pytest.mark.parametrize("text", ["idp1", "my-idp", "my_idp", "0", "a" * 32, "register", "github"])
def test_good_id_is_accepted(text: str) -> None:
    assert with_providers(text).problems == ()


@pytest.mark.parametrize("text", ["IDP", "_clients", "-a", "../x", "a b", "a.b", "a" * 33, "é"])
def test_text_that_is_no_id_is_refused(text: str) -> None:
    (problem,) = with_providers(text).problems
    assert problem.startswith(f"TOKEN_PROVIDERS: {text} is no id")


@pytest.mark.parametrize("text", ["links", "providers", "admin", "authorizations", "link", "oauth"])
def test_name_of_a_route_is_refused(text: str) -> None:
    assert with_providers(text).problems == (
        f"TOKEN_PROVIDERS: {text} is the name of a page or resource of the store: choose another",
    )


@pytest.mark.parametrize("text", ["oidc", "session", "cors", "sqlalchemy", "token", "secret", "cryptokey", "public"])
def test_id_that_would_own_a_setting_of_the_store_is_refused(text: str) -> None:
    problems = examine(good_settings(TOKEN_PROVIDERS=text), {}).problems
    assert [problem.startswith(f"TOKEN_PROVIDERS: {text} would own the setting") for problem in problems] == [True]


def test_ids_with_the_same_setting_names_are_refused() -> None:
    assert (
        "TOKEN_PROVIDERS: a-b and a_b would share their settings: rename one" in with_providers("a-b", "a_b").problems
    )


def test_id_that_would_own_another_providers_setting_is_refused() -> None:
    assert with_providers("idp", "idp_md").problems == (
        "TOKEN_PROVIDERS: idp_md would own IDP_MD_NAME, a setting of idp: rename one",
    )


def test_id_named_twice_is_refused() -> None:
    assert with_providers("idp", "idp").problems == ("TOKEN_PROVIDERS names idp twice",)


def test_longest_id_owns_a_setting() -> None:
    found = with_providers("idp", "idp-2", IDP_2_SCOPE="openid two", IDP_SCOPE="openid one")
    assert [one.scopes for one in found.providers] == [("openid", "one"), ("openid", "two")]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("PUBIC_URL", "is no setting: did you mean PUBLIC_URL?"),
        ("SESION_TYPE", "is no setting: did you mean SESSION_TYPE?"),
        ("CRYPTOKEY_FIEL", "is no setting: did you mean CRYPTOKEY_FILE?"),
        ("IDP1_CLIENT_SECERT", "is no setting: did you mean IDP1_CLIENT_SECRET?"),
        ("IDP1_WHATEVER", "is no setting of the store and is ignored"),
        ("OIDC_DISCOVERYURL", "is no setting: did you mean OIDC_DISCOVERY_URL?"),
        ("ANOTHER_ONE_CLIENT_ID", "belongs to no provider: add another_one to TOKEN_PROVIDERS"),
        ("IPD1_SCOPE", "belongs to no provider: add ipd1 to TOKEN_PROVIDERS, or did you mean IDP1_SCOPE?"),
        ("BASE_DIR", "is no setting of the store and is ignored"),
        ("TESTING", "is Flask's own setting and has no effect here"),
        ("SQLALCHEMY_TRACK_MODIFICATIONS", "is accepted and not used"),
        ("CACHE_TYPE", "is accepted and not used"),
        ("SESSION_FILE_DIR", "is accepted and not used"),
    ],
)
def test_name_that_is_no_setting_is_a_warning(name: str, why: str) -> None:
    found = with_providers("idp1", **{name: "x"})
    assert found.problems == ()
    assert found.warnings == (f"{name} {why}",)


def test_unknown_variable_is_named_as_it_stands_in_the_environment() -> None:
    found = examine(good_settings(), {"TOKENSTORE_PUBIC_URL": "x"})
    assert found.warnings == ("TOKENSTORE_PUBIC_URL is no setting: did you mean PUBLIC_URL?",)

"""Presets: data below the operator's own settings, with names in their addresses to fill in."""

from __future__ import annotations

import re

import pytest

from tokenstore.core.model import ProviderId, ProviderKind
from tokenstore.core.settings import fill
from tokenstore.providers.building import Built, build_provider
from tokenstore.providers.presets import PRESETS
from tokenstore.providers.settings import ProviderSettings

VARS = {"keycloak": {"host": "sso.example.org", "realm": "science"}, "microsoft": {"tenant": "72f988bf-86f1"}}
CREDENTIALS: dict[str, object] = {"CLIENT_ID": "store", "CLIENT_SECRET": "hush"}


def build(**given: object) -> Built:
    return build_provider(ProviderId("idp"), CREDENTIALS | given, redirect_uri="https://store.example.org/callback")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_holds_only_settings_with_good_values(name: str) -> None:
    rows, problems = fill(ProviderSettings, PRESETS[name].rows)
    assert problems == {}
    assert {row for row in PRESETS[name].rows if not hasattr(rows, row.lower())} == set()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_needs_only_credentials_and_names(name: str) -> None:
    built = build(PRESET=name, VARS=VARS.get(name, {}))
    assert built.problems == ()
    assert built.warnings == ()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_names_its_pages_and_when_they_were_read(name: str) -> None:
    preset = PRESETS[name]
    assert preset.pages
    assert all(page.title and page.address.startswith("https://") for page in preset.pages)
    assert re.fullmatch(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", preset.read)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("atlassian", True),
        ("cilogon", False),
        ("dropbox", True),
        ("github", False),
        ("github-app", False),
        ("google", True),
        ("globus", True),
        ("microsoft", True),
        ("orcid", False),
        ("salesforce", True),
        ("slack", False),
    ],
)
def test_a_refresh_token_is_expected_where_offline_access_is_asked_for(name: str, expected: bool) -> None:
    built = build(PRESET=name, VARS=VARS.get(name, {}))
    assert built.provider is not None
    assert built.provider.expects_refresh_token is expected


@pytest.mark.parametrize(
    ("name", "host", "usual"),
    [
        ("cilogon", "test.cilogon.org", "cilogon.org"),
        ("gitlab", "git.example.org", "gitlab.com"),
        ("orcid", "sandbox.orcid.org", "orcid.org"),
    ],
)
def test_names_of_a_preset_have_defaults_that_vars_replace(name: str, host: str, usual: str) -> None:
    ours, theirs = build(PRESET=name, VARS={"host": host}), build(PRESET=name)
    assert ours.provider is not None
    assert theirs.provider is not None
    assert (ours.provider.issuer, theirs.provider.issuer) == (f"https://{host}", f"https://{usual}")


@pytest.mark.parametrize(
    "given", [{"PRESET": "keycloak", "VARS": "{host:"}, {"PRESET": "keyclock", "VARS": {"host": "x"}}]
)
def test_a_preset_or_vars_that_cannot_be_read_is_the_one_problem_told(given: dict[str, object]) -> None:
    assert len(build(**given).problems) == 1


def test_a_mend_names_the_settings_as_they_are_written() -> None:
    [problem] = build(PRESET="github", CLIENT_SECRET=None).problems
    assert "IDP_CLIENT_SECRET_FILE" in problem
    assert "IDP_TOKEN_AUTH_METHOD" in problem


def test_the_redirect_uri_is_filled_in_where_a_refresh_wants_it() -> None:
    built = build(PRESET="gitlab")
    assert built.provider is not None
    assert built.provider.refresh_params == (("redirect_uri", "https://store.example.org/callback"),)


def test_github_needs_only_credentials() -> None:
    built = build(PRESET="github", SCOPE="repo read:user")
    assert built.problems == ()
    assert built.provider is not None
    assert built.provider.kind is ProviderKind.OAUTH2
    assert built.provider.endpoints.token == "https://github.com/login/oauth/access_token"
    assert built.provider.effective_issuer == "https://github.com"
    assert built.provider.subject_field == "id"
    assert built.provider.expects_refresh_token is False
    assert built.provider.pkce is True
    assert built.provider.scopes == ("repo", "read:user")


def test_keycloak_is_filled_in_from_host_and_realm() -> None:
    built = build(PRESET="keycloak", VARS={"host": "sso.example.org:8443", "realm": "science"})
    assert built.provider is not None
    assert built.provider.issuer == "https://sso.example.org:8443/realms/science"
    assert built.provider.expects_refresh_token is True


def test_explicit_setting_wins_over_the_preset() -> None:
    built = build(PRESET="github", NAME_FIELD="name")
    assert built.provider is not None
    assert built.provider.name_field == "name"
    assert "NAME_FIELD" not in built.preset_rows
    assert "SUBJECT_FIELD" in built.preset_rows


def test_overridden_address_needs_no_names() -> None:
    built = build(PRESET="keycloak", DISCOVERY_URL="http://127.0.0.1:8080/realms/x/.well-known/openid-configuration")
    assert built.problems == ()


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"host": "sso.example.org"}, 'IDP_VARS lacks \'realm\': write IDP_VARS = {"realm": "…"}'),
        ({}, 'IDP_VARS lacks \'host\' and \'realm\': write IDP_VARS = {"host": "…", "realm": "…"}'),
        ({"host": "sso.example.org/evil", "realm": "x"}, "IDP_VARS has an unusable 'host': write a host name"),
        ({"host": "me@evil.example.org", "realm": "x"}, "IDP_VARS has an unusable 'host'"),
        ({"host": "sso.example.org", "realm": "../../x"}, "IDP_VARS has an unusable 'realm': write one part of a path"),
        ({"host": "sso.example.org", "realm": ".."}, "IDP_VARS has an unusable 'realm'"),
        ({"host": "sso.example.org", "realm": "a?b"}, "IDP_VARS has an unusable 'realm'"),
        ({"host": "sso.example.org", "realm": "x", "tenant": "y"}, "IDP_VARS holds 'tenant', which the preset"),
    ],
)
def test_vars_that_are_missing_or_leave_their_place_are_refused(names: dict[str, str], problem: str) -> None:
    built = build(PRESET="keycloak", VARS=names)
    assert built.provider is None
    assert [text for text in built.problems if text.startswith(problem)], built.problems

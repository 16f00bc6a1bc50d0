"""Presets: data below the operator's own settings, with names in their addresses to fill in."""

from __future__ import annotations

import pytest

from tokenstore.core.model import ProviderId, ProviderKind
from tokenstore.core.settings import fill
from tokenstore.providers.building import Built, build_provider
from tokenstore.providers.presets import PRESETS
from tokenstore.providers.settings import ProviderSettings

CREDENTIALS: dict[str, object] = {"CLIENT_ID": "store", "CLIENT_SECRET": "hush"}


def build(**given: object) -> Built:
    return build_provider(ProviderId("idp"), CREDENTIALS | given, redirect_uri="https://store.example.org/callback")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_holds_only_settings_with_good_values(name: str) -> None:
    rows, problems = fill(ProviderSettings, PRESETS[name])
    assert problems == {}
    assert {row for row in PRESETS[name] if not hasattr(rows, row.lower())} == set()


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
        ({"host": "sso.example.org"}, "IDP_VARS lacks 'realm'"),
        ({"host": "sso.example.org/evil", "realm": "x"}, "IDP_VARS has an unusable 'host': write a host name"),
        ({"host": "me@evil.example.org", "realm": "x"}, "IDP_VARS has an unusable 'host'"),
        ({"host": "sso.example.org", "realm": "../../x"}, "IDP_VARS has an unusable 'realm': write one part of a path"),
        ({"host": "sso.example.org", "realm": ".."}, "IDP_VARS has an unusable 'realm'"),
        ({"host": "sso.example.org", "realm": "a?b"}, "IDP_VARS has an unusable 'realm'"),
        ({"host": "sso.example.org", "realm": "x", "tenant": "y"}, "IDP_VARS holds 'tenant', which the preset"),
    ],
)
def test_name_that_would_leave_its_place_is_refused(names: dict[str, str], problem: str) -> None:
    built = build(PRESET="keycloak", VARS=names)
    assert built.provider is None
    assert [text for text in built.problems if text.startswith(problem)], built.problems

"""Providers made from settings, and what is said when they cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tokenstore.core.model import LOGIN_PROVIDER, Provider, ProviderId, ProviderKind, Rotation, RotationKind
from tokenstore.core.secret import Secret
from tokenstore.providers.building import Built, build_provider

DISCOVERY = "https://idp.example.org/realm/.well-known/openid-configuration"
OIDC: dict[str, object] = {"DISCOVERY_URL": DISCOVERY, "CLIENT_ID": "store", "CLIENT_SECRET": "hush"}
OAUTH2: dict[str, object] = {
    "AUTHORIZE_URL": "https://plain.example.org/authorize",
    "TOKEN_URL": "https://plain.example.org/token",
    "CLIENT_ID": "store",
    "CLIENT_SECRET": "hush",
}
REDIRECT_URI = "https://store.example.org/api/v1.0/my-idp/redirect_uri"


def build(given: dict[str, object], plain_http_hosts: frozenset[str] = frozenset()) -> Built:
    return build_provider(ProviderId("my-idp"), given, redirect_uri=REDIRECT_URI, plain_http_hosts=plain_http_hosts)


def made(given: dict[str, object]) -> Provider:
    built = build(given)
    assert built.problems == ()
    assert built.provider is not None
    return built.provider


def test_discovery_url_alone_makes_an_oidc_provider_with_offline_access() -> None:
    provider = made(OIDC)
    assert provider == Provider(
        id=ProviderId("my-idp"),
        kind=ProviderKind.OIDC,
        client_id="store",
        redirect_uri=REDIRECT_URI,
        issuer="https://idp.example.org/realm",
        discovery_url=DISCOVERY,
        client_secret=Secret("hush"),
        scopes=("openid", "email", "offline_access"),
        prompt="consent",
        terminal_errors=provider.terminal_errors,
    )


def test_endpoints_alone_make_an_oauth2_provider_without_scope_and_prompt() -> None:
    provider = made(OAUTH2)
    assert (provider.kind, provider.scopes, provider.prompt) == (ProviderKind.OAUTH2, (), None)
    assert provider.effective_issuer == "https://plain.example.org"


def test_login_provider_asks_for_a_profile_and_sends_no_prompt() -> None:
    built = build_provider(LOGIN_PROVIDER, OIDC, redirect_uri="https://store.example.org/api/oidc/redirect_uri")
    assert built.provider is not None
    assert (built.provider.scopes, built.provider.prompt) == (("openid", "email", "profile"), None)


def test_every_row_reaches_the_provider() -> None:
    provider = made(
        OIDC
        | {
            "ISSUER": "https://idp.example.org/other",
            "SCOPE": "openid,files",
            "SCOPE_SEPARATOR": ",",
            "PKCE": "off",
            "PROMPT": "",
            "AUTHORIZE_PARAMS": {"access_type": "offline"},
            "TOKEN_PARAMS": {"tenant": 7},
            "ROTATION": "grace(30)",
            "REVOCATION": "token",
            "DEFAULT_EXPIRES_IN": "600",
            "TOKEN_TYPES": "Bearer, User",
            "ALLOWED_HOSTS": "tokens.example.org",
            "BROWSER_TOKENS": "false",
            "MD_NAME": "Files",
        }
    )
    assert provider.issuer == "https://idp.example.org/other"
    assert provider.scopes == ("openid", "files")
    assert provider.pkce is False
    assert provider.prompt is None
    assert provider.authorize_params == (("access_type", "offline"),)
    assert provider.token_params == (("tenant", "7"),)
    assert provider.rotation == Rotation(RotationKind.GRACE, timedelta(seconds=30))
    assert provider.revokes_grant is False
    assert provider.default_expires_in == timedelta(minutes=10)
    assert provider.token_types == {"bearer", "user"}
    assert provider.allowed_hosts == {"tokens.example.org"}
    assert provider.browser_tokens is False
    assert provider.metadata.name == "Files"


def test_public_client_needs_no_secret() -> None:
    provider = made(OIDC | {"CLIENT_SECRET": None, "TOKEN_AUTH_METHOD": "none"})
    assert provider.client_secret is None


@pytest.mark.parametrize(
    ("discovery_url", "issuer"),
    [
        ("https://idp.example.org/.well-known/openid-configuration", "https://idp.example.org"),
        ("https://idp.example.org/a/b/.well-known/openid-configuration", "https://idp.example.org/a/b"),
        ("https://idp.example.org/.well-known/oauth-authorization-server/a", "https://idp.example.org/a"),
    ],
)
def test_issuer_is_read_off_the_discovery_url(discovery_url: str, issuer: str) -> None:
    assert made(OIDC | {"DISCOVERY_URL": discovery_url}).issuer == issuer


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"CLIENT_ID": None}, "MY_IDP_CLIENT_ID is missing"),
        ({"CLIENT_SECRET": None}, "MY_IDP_CLIENT_SECRET is missing"),
        ({"DISCOVERY_URL": None}, "MY_IDP_AUTHORIZE_URL or MY_IDP_TOKEN_URL is missing"),
        ({"DISCOVERY_URL": None, "TYPE": "oidc"}, "MY_IDP_DISCOVERY_URL is missing"),
        (
            {"DISCOVERY_URL": "https://idp.example.org/realm/"},
            "MY_IDP_DISCOVERY_URL shows no /.well-known/openid-configuration: write https://idp.example.org/realm/.well-",
        ),
        (
            {"DISCOVERY_URL": "https://idp.example.org/meta?tenant=1"},
            "MY_IDP_DISCOVERY_URL does not show the issuer: write MY_IDP_ISSUER as",
        ),
        ({"DISCOVERY_URL": "http://idp.example.org/x"}, "MY_IDP_DISCOVERY_URL is plain http"),
        ({"TOKEN_URL": "https://me:pw@idp.example.org/x"}, "MY_IDP_TOKEN_URL holds a user name"),
        ({"TOKEN_URL": "https://idp.example.org/x#y"}, "MY_IDP_TOKEN_URL has a fragment"),
        ({"TOKEN_URL": "idp.example.org/x"}, "MY_IDP_TOKEN_URL is no web address"),
        ({"TOKEN_URL": "https://idp.example.org/ x"}, "MY_IDP_TOKEN_URL is no web address"),
        ({"TOKEN_URL": "https://idp.example.org:99999/x"}, "MY_IDP_TOKEN_URL is no web address"),
        ({"ALLOWED_HOSTS": "*.example.org"}, "MY_IDP_ALLOWED_HOSTS holds"),
        ({"PRESET": "gitbub"}, "MY_IDP_PRESET is 'gitbub': did you mean github? Write one of atlassian,"),
        ({"ROTATION": "grace(soon)"}, "MY_IDP_ROTATION is 'grace(soon)'"),
        ({"SCOPE": 'openid a"b'}, "MY_IDP_SCOPE holds"),
        ({"SCOPE": "email"}, "MY_IDP_SCOPE lacks openid"),
        ({"SCOPE_SEPARATOR": "+"}, "MY_IDP_SCOPE_SEPARATOR has to be"),
        ({"SUBJECT_FIELD": "a..b"}, "MY_IDP_SUBJECT_FIELD has to be"),
        ({"DEFAULT_EXPIRES_IN": 0}, "MY_IDP_DEFAULT_EXPIRES_IN is 0"),
        ({"AUTHORIZE_PARAMS": {"scope": "x"}}, "MY_IDP_AUTHORIZE_PARAMS may not hold scope: use SCOPE"),
        ({"AUTHORIZE_PARAMS": {"state": "x"}}, "MY_IDP_AUTHORIZE_PARAMS may not hold state: the store sends it itself"),
        ({"TOKEN_PARAMS": {"grant_type": "x"}}, "MY_IDP_TOKEN_PARAMS may not hold grant_type"),
        ({"TOKEN_PARAMS": {"flag": True}}, "MY_IDP_TOKEN_PARAMS has an unusable 'flag'"),
    ],
)
def test_problem_names_the_setting(given: dict[str, object], problem: str) -> None:
    built = build(OIDC | given)
    assert built.provider is None
    assert [text for text in built.problems if text.startswith(problem)], built.problems


def test_all_problems_come_at_once() -> None:
    built = build({"TYPE": "oidc", "PKCE": "maybe", "JWKS_URL": "ftp://x/y"})
    assert [text.split()[0] for text in built.problems] == [
        "MY_IDP_PKCE",
        "MY_IDP_JWKS_URL",
        "MY_IDP_CLIENT_ID",
        "MY_IDP_CLIENT_SECRET",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_plain_http_to_this_machine_is_accepted(host: str) -> None:
    made(OIDC | {"DISCOVERY_URL": f"http://{host}/.well-known/openid-configuration"})


def test_plain_http_to_an_allowed_host_is_accepted() -> None:
    given = OIDC | {"DISCOVERY_URL": "http://idp.internal/.well-known/openid-configuration"}
    assert build(given, frozenset({"idp.internal"})).problems == ()


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//x", "https://", "https://a b"])
def test_metadata_address_that_is_no_web_address_is_left_out_with_a_warning(address: str) -> None:
    built = build(OIDC | {"MD_ICON": address, "MD_URL": "http://idp.example.org/"})
    assert built.provider is not None
    assert (built.provider.metadata.icon, built.provider.metadata.url) == (None, "http://idp.example.org/")
    assert built.warnings == ("MY_IDP_MD_ICON is left out: write an http or https address",)

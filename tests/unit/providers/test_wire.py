from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from support.issuing import CHALLENGE, NONCE, VERIFIER, make_attempt, make_provider
from tokenstore.core.model import Asked, Endpoints, Provider, ProviderKind
from tokenstore.core.secret import Secret
from tokenstore.providers import wire
from tokenstore.providers.messages import Request

TOKEN_URL = "https://idp.example/token"


def query(provider: Provider, **hints: str) -> list[tuple[str, str]]:
    url = wire.authorization_url(provider, "https://idp.example/auth?tenant=a%2Fb", make_attempt(provider), hints)
    assert url.startswith("https://idp.example/auth?tenant=a%2Fb&")
    return parse_qsl(urlsplit(url).query, strict_parsing=True)


def form(request: Request) -> list[tuple[str, str]]:
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    return parse_qsl((request.body or b"").decode(), strict_parsing=True, keep_blank_values=True)


def refresh(provider: Provider, asked: Asked | None = None, *granted: str) -> list[tuple[str, str]]:
    return form(wire.refresh_request(provider, TOKEN_URL, Secret("rt"), asked or Asked(), frozenset(granted)))


def test_the_authorization_request_has_pkce_state_and_nonce() -> None:
    provider = make_provider()
    assert query(provider) == [
        ("tenant", "a/b"),
        ("response_type", "code"),
        ("client_id", "the-store"),
        ("redirect_uri", provider.redirect_uri),
        ("state", "the-state"),
        ("scope", "openid email offline_access"),
        ("nonce", NONCE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]


def test_plain_oauth_sends_no_nonce_and_no_empty_scope() -> None:
    names = [name for name, _ in query(make_provider(kind=ProviderKind.OAUTH2, scopes=()))]
    assert "nonce" not in names
    assert "scope" not in names


def test_pkce_is_left_out_only_where_the_provider_says_so() -> None:
    assert not [name for name, _ in query(make_provider(pkce=False)) if name.startswith("code_challenge")]


def test_scopes_are_joined_with_the_separator_of_the_provider() -> None:
    assert dict(query(make_provider(scopes=("repo", "user"), scope_separator=",")))["scope"] == "repo,user"


def test_extra_parameters_and_hints_go_along() -> None:
    provider = make_provider(prompt="consent", authorize_params=(("access_type", "offline"), ("a b", "c&d")))
    assert query(provider, prompt="login", login_hint="alice@example.org")[-4:] == [
        ("prompt", "login"),
        ("login_hint", "alice@example.org"),
        ("access_type", "offline"),
        ("a b", "c&d"),
    ]
    assert dict(query(provider))["prompt"] == "consent"


def test_the_code_is_redeemed_with_its_verifier() -> None:
    provider = make_provider(token_params=(("x", "y"),))
    request = wire.code_request(provider, TOKEN_URL, make_attempt(provider), Secret("c/ö d"))
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert form(request) == [
        ("grant_type", "authorization_code"),
        ("code", "c/ö d"),
        ("redirect_uri", provider.redirect_uri),
        ("code_verifier", VERIFIER),
        ("x", "y"),
    ]


def test_client_authentication_by_basic_encodes_both_parts() -> None:
    provider = make_provider(client_id="a:b", client_secret=Secret("ü/ :%"))
    request = wire.revocation_request(provider, TOKEN_URL, Secret("t"))
    scheme, _, encoded = dict(request.headers)["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", b"a%3Ab:%C3%BC%2F+%3A%25")
    assert form(request) == [("token", "t")]


@pytest.mark.parametrize(
    ("method", "credentials"),
    [
        ("client_secret_post", [("client_id", "the-store"), ("client_secret", "the secret/of: us")]),
        ("none", [("client_id", "the-store")]),
    ],
)
def test_client_authentication_in_the_body(method: str, credentials: list[tuple[str, str]]) -> None:
    request = wire.revocation_request(make_provider(auth_method=method), TOKEN_URL, Secret("t"))
    assert form(request) == [("token", "t"), *credentials]
    assert "Authorization" not in dict(request.headers)


def test_a_refresh_sends_no_scope_by_default() -> None:
    assert dict(refresh(make_provider(), None, "a")) == {"grant_type": "refresh_token", "refresh_token": "rt"}


@pytest.mark.parametrize(
    ("style", "scope"), [("granted", "a b offline_access"), ("configured", "openid email offline_access")]
)
def test_a_refresh_sends_scope_where_the_provider_insists(style: str, scope: str) -> None:
    assert dict(refresh(make_provider(refresh_scope=style), None, "b", "a"))["scope"] == scope


def test_a_scope_asked_for_goes_before_the_granted_one() -> None:
    provider = make_provider(refresh_scope="granted")
    assert dict(refresh(provider, Asked(scopes=frozenset({"x"})), "y"))["scope"] == "x"


@pytest.mark.parametrize(
    ("style", "parameters"),
    [
        ("resource", [("resource", "aud"), ("resource", "https://b/"), ("resource", "https://a/")]),
        ("audience", [("audience", "aud https://b/ https://a/")]),
        ("audience-repeated", [("audience", "aud"), ("audience", "https://b/"), ("audience", "https://a/")]),
    ],
)
def test_targets_are_said_in_the_way_of_the_provider_in_order(style: str, parameters: list[tuple[str, str]]) -> None:
    asked = Asked(audience="aud", resources=("https://b/", "https://a/"))
    assert refresh(make_provider(audience_style=style), asked)[2:] == parameters


@pytest.mark.parametrize("asked", [Asked(audience="aud"), Asked(resources=("https://a/",))])
def test_a_provider_without_a_way_cannot_express_a_target(asked: Asked) -> None:
    assert not wire.can_express(make_provider(), asked)
    assert wire.can_express(make_provider(audience_style="resource"), asked)
    assert wire.can_express(make_provider(), Asked(scopes=frozenset({"a"})))


def test_a_github_grant_is_deleted_by_its_access_token() -> None:
    request = wire.github_grant_request(make_provider(client_id="Iv1/x"), Secret("gho_1"))
    assert (request.method, request.url) == ("DELETE", "https://api.github.com/applications/Iv1%2Fx/grant")
    assert json.loads(request.body or b"") == {"access_token": "gho_1"}
    assert dict(request.headers)["Authorization"].startswith("Basic ")


def test_a_configured_revocation_address_goes_before_the_one_of_github() -> None:
    provider = make_provider(endpoints=Endpoints(revoke="https://ghe.example/revoke"))
    assert wire.github_grant_request(provider, Secret("t")).url == "https://ghe.example/revoke"


@pytest.mark.parametrize(
    ("hint", "first"), [(Secret("a.b.c"), ("id_token_hint", "a.b.c")), (None, ("client_id", "the-store"))]
)
def test_logout_names_the_client_and_the_way_back(hint: Secret | None, first: Any) -> None:
    url = wire.end_session_url(make_provider(), "https://idp.example/logout", hint, "https://store.example/bye")
    parameters = parse_qsl(urlsplit(url).query)
    assert parameters[0] == first
    assert parameters[-2:] == [("client_id", "the-store"), ("post_logout_redirect_uri", "https://store.example/bye")]


def test_no_request_shows_its_secrets() -> None:
    provider = make_provider()
    request = wire.refresh_request(provider, TOKEN_URL, Secret("the-refresh-token"), Asked(), frozenset())
    assert "the-refresh-token" not in repr(request)
    assert "Basic" not in repr(request)


def test_a_body_in_json_holds_the_same_parameters_and_repeated_ones_as_a_list() -> None:
    provider = make_provider(body_format="json", auth_method="client_secret_post", audience_style="audience-repeated")
    asked = Asked(audience="a", resources=("https://b/",))
    request = wire.refresh_request(provider, TOKEN_URL, Secret("rt"), asked, frozenset())
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert json.loads(request.body or b"") == {
        "grant_type": "refresh_token",
        "refresh_token": "rt",
        "audience": ["a", "https://b/"],
        "client_id": "the-store",
        "client_secret": "the secret/of: us",
    }


def test_revocation_stays_a_form_where_token_requests_are_json() -> None:
    assert form(wire.revocation_request(make_provider(body_format="json"), TOKEN_URL, Secret("t"))) == [("token", "t")]


def test_parameters_of_the_refresh_go_along_on_refresh_only() -> None:
    provider = make_provider(refresh_params=(("redirect_uri", "https://store.example/back"),))
    assert dict(refresh(provider))["redirect_uri"] == "https://store.example/back"
    code = form(wire.code_request(provider, TOKEN_URL, make_attempt(provider), Secret("c")))
    assert [value for name, value in code if name == "redirect_uri"] == [provider.redirect_uri]


def test_scopes_go_by_the_parameter_and_separator_of_the_provider() -> None:
    provider = make_provider(scopes=("a", "b"), scope_param="user_scope", scope_separator=" ,")
    sent = dict(query(provider))
    assert sent["user_scope"] == "a b"
    assert "scope" not in sent


def test_a_revocation_by_the_token_itself_has_no_body_and_no_credentials_of_ours() -> None:
    request = wire.bearer_revocation_request("https://api.example/revoke", Secret("at"))
    assert (request.method, request.body) == ("POST", None)
    assert dict(request.headers)["Authorization"] == "Bearer at"

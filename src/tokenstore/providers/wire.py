"""Requests to a provider, built and not sent: authorization, token, revocation, userinfo, logout (RFC 6749, 7009).

Pure. Nothing is sent that was not asked for, since some providers reject parameters they do not know. Forms are
encoded here because the order and repetition of parameters (RFC 8707 `resource`) must survive.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, quote_plus, urlencode

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from tokenstore.core.model import Asked, Attempt, Provider, ProviderKind
from tokenstore.core.secret import Secret
from tokenstore.providers.messages import Request

Parameters = Sequence[tuple[str, str]]

_FORM = ("Content-Type", "application/x-www-form-urlencoded")
_JSON = ("Content-Type", "application/json")
_JSON_WANTED = ("Accept", "application/json")
_GITHUB_GRANT = "https://api.github.com/applications/{client_id}/grant"


def authorization_url(provider: Provider, endpoint: str, attempt: Attempt, hints: Mapping[str, str]) -> str:
    """Where the browser goes (RFC 6749 section 4.1.1, RFC 7636 section 4.3, OIDC Core section 3.1.2.1).

    `hints` may hold `prompt`, which wins over the configured one, and `login_hint`.
    """
    parameters = [
        ("response_type", "code"),
        ("client_id", provider.client_id),
        ("redirect_uri", attempt.redirect_uri),
        ("state", attempt.state.reveal()),
    ]
    if attempt.scopes:
        parameters.append((provider.scope_param, provider.scope_separator[0].join(attempt.scopes)))
    if provider.kind is ProviderKind.OIDC:
        parameters.append(("nonce", attempt.nonce.reveal()))
    if provider.pkce:
        challenge = create_s256_code_challenge(attempt.code_verifier.reveal())
        parameters += [("code_challenge", challenge), ("code_challenge_method", "S256")]
    if prompt := hints.get("prompt", provider.prompt):
        parameters.append(("prompt", prompt))
    if login_hint := hints.get("login_hint"):
        parameters.append(("login_hint", login_hint))
    return str(add_params_to_uri(endpoint, [*parameters, *provider.authorize_params]))


def code_request(provider: Provider, endpoint: str, attempt: Attempt, code: Secret) -> Request:
    """Redeem an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    form = [
        ("grant_type", "authorization_code"),
        ("code", code.reveal()),
        ("redirect_uri", attempt.redirect_uri),
    ]
    if provider.pkce:
        form.append(("code_verifier", attempt.code_verifier.reveal()))
    return _token_request(provider, endpoint, [*form, *provider.token_params])


def refresh_request(
    provider: Provider, endpoint: str, refresh_token: Secret, asked: Asked, granted: frozenset[str]
) -> Request:
    """Spend a refresh token (RFC 6749 section 6).

    `scope` goes along only if the caller asked for one or REFRESH_SCOPE says so: the provider repeats what it granted.
    """
    form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.reveal())]
    scopes: Sequence[str] = sorted(asked.scopes)
    if not scopes and provider.refresh_scope == "granted":
        # Entra does not name offline_access among what it granted, and gives a new refresh token only if asked to.
        scopes = sorted(granted | ({"offline_access"} & set(provider.scopes)))
    elif not scopes and provider.refresh_scope == "configured":
        scopes = provider.scopes
    if scopes:
        form.append(("scope", provider.scope_separator[0].join(scopes)))
    made = _token_request(provider, endpoint, [*form, *provider.refresh_params, *_targets(provider, asked)])
    return replace(made, deadline=provider.rotation.deadline.total_seconds())


def can_express(provider: Provider, asked: Asked) -> bool:
    """Whether the provider has a way to say the audience or resources asked for (AUDIENCE_STYLE)."""
    return provider.audience_style != "none" or not (asked.audience or asked.resources)


def revocation_request(provider: Provider, endpoint: str, token: Secret) -> Request:
    """Revoke a token (RFC 7009 section 2.1); without a type hint, since either kind may come."""
    return _form_request(provider, endpoint, [("token", token.reveal())])


def introspection_request(provider: Provider, endpoint: str, token: Secret) -> Request:
    """Ask whether an access token is good and whose it is (RFC 7662 section 2.1)."""
    return _form_request(provider, endpoint, [("token", token.reveal()), ("token_type_hint", "access_token")])


def github_grant_request(provider: Provider, token: Secret) -> Request:
    """Delete a person's authorization of a GitHub OAuth App, by one of its access tokens.

    https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization
    """
    endpoint = provider.endpoints.revoke or _GITHUB_GRANT.format(client_id=quote(provider.client_id, safe=""))
    headers = (
        ("Accept", "application/vnd.github+json"),
        ("Content-Type", "application/json"),
        _basic(provider.client_id, provider.client_secret),
    )
    return Request("DELETE", endpoint, headers, json.dumps({"access_token": token.reveal()}).encode())


def bearer_revocation_request(endpoint: str, token: Secret) -> Request:
    """Revoke an access token by a call that it authorises itself (Dropbox, Slack)."""
    return Request("POST", endpoint, (("Authorization", f"Bearer {token.reveal()}"), _JSON_WANTED))


def userinfo_request(endpoint: str, access_token: Secret) -> Request:
    """Ask who the account is (OIDC Core section 5.3.1, RFC 6750 section 2.1)."""
    return Request("GET", endpoint, (("Authorization", f"Bearer {access_token.reveal()}"), _JSON_WANTED))


def end_session_url(provider: Provider, endpoint: str, id_token: Secret | None, return_to: str) -> str:
    """Where the browser goes to log out (OIDC RP-Initiated Logout 1.0 section 2)."""
    parameters = [("client_id", provider.client_id), ("post_logout_redirect_uri", return_to)]
    if id_token is not None:
        parameters.insert(0, ("id_token_hint", id_token.reveal()))
    return str(add_params_to_uri(endpoint, parameters))


def _token_request(provider: Provider, endpoint: str, parameters: Parameters) -> Request:
    """A request to the token endpoint, its body as BODY_FORMAT wants it."""
    if provider.body_format == "form":
        return _form_request(provider, endpoint, parameters)
    headers, parameters = _authenticated(provider, parameters)
    members: dict[str, str | list[str]] = {}
    for name, _ in parameters:
        values = [value for other, value in parameters if other == name]
        members[name] = values if len(values) > 1 else values[0]
    return Request("POST", endpoint, (_JSON, _JSON_WANTED, *headers), json.dumps(members).encode())


def _form_request(provider: Provider, endpoint: str, parameters: Parameters) -> Request:
    headers, parameters = _authenticated(provider, parameters)
    return Request("POST", endpoint, (_FORM, _JSON_WANTED, *headers), urlencode(parameters).encode())


def _authenticated(provider: Provider, parameters: Parameters) -> tuple[list[tuple[str, str]], Parameters]:
    """The headers and parameters that prove who we are (RFC 6749 section 2.3.1), added to the parameters given."""
    if provider.auth_method == "client_secret_basic":
        return [_basic(provider.client_id, provider.client_secret)], parameters
    proof = [("client_id", provider.client_id)]
    if provider.auth_method == "client_secret_post" and provider.client_secret is not None:
        proof.append(("client_secret", provider.client_secret.reveal()))
    return [], [*parameters, *proof]


def _basic(client_id: str, secret: Secret | None) -> tuple[str, str]:
    """Client authentication by HTTP Basic, both parts form-encoded first (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal() if secret is not None else '')}"
    return ("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")


def _targets(provider: Provider, asked: Asked) -> Parameters:
    """The audience and resources asked for, in the provider's way (RFC 8707 section 2, or its `audience`)."""
    targets = [*([asked.audience] if asked.audience else []), *asked.resources]
    if not targets or provider.audience_style == "none":
        return []
    if provider.audience_style == "audience":
        return [("audience", " ".join(targets))]
    name = "resource" if provider.audience_style == "resource" else "audience"
    return [(name, target) for target in targets]

"""What stands in the tokens of a provider: claims, audience and lifetime."""

from __future__ import annotations

import secrets
from typing import Any

from flask import request

from demo.clients import RegisteredClient
from demo.config import Account
from demo.faults import provider_state, struck
from demo.grants import AccessToken, RefreshToken
from demo.knobs import Fault


def person_claims(account: Account, scope: str) -> dict[str, Any]:
    """The claims about a person that a scope opens (OpenID Connect Core section 5.4)."""
    scopes = scope.split()
    claims: dict[str, Any] = {"sub": account.subject, **account.claims}
    if "profile" in scopes:
        claims |= {"name": account.name, "preferred_username": account.username}
    if "email" in scopes:
        claims |= {"email": account.email, "email_verified": account.email_verified}
    return claims


def access_token(client: RegisteredClient, user: Account, scope: str) -> str:
    """The text of a new access token: a JWT (RFC 9068) or an opaque one."""
    state = provider_state()
    if not state.config.jwt_access_tokens:
        return secrets.token_urlsafe(32)
    asked = request.form.getlist("resource") or request.form.getlist("audience")
    audience = asked or list(client.client.audience) or [client.get_client_id()]
    lifetime = access_token_lifetime()
    if lifetime is None:
        lifetime = state.config.access_token_lifetime
    claims = person_claims(user, scope)
    return state.sign_access_token(user.subject, audience, scope, lifetime, client.get_client_id(), claims)


def access_token_lifetime() -> int | None:
    """Lifetime in seconds of the access token asked for in this request; None without an end."""
    state = provider_state()
    lifetime = struck(Fault.EXPIRES_IN)
    if lifetime is not None:
        return int(lifetime)
    return state.config.access_token_lifetime if state.config.refreshes else None


def introspected(token: RefreshToken | AccessToken) -> dict[str, Any]:
    """What introspection says of a live token (RFC 7662 section 2.2)."""
    state = provider_state()
    if isinstance(token, RefreshToken):
        grant = token.grant
        return {"active": True, "sub": grant.subject, "client_id": grant.client_id, "scope": grant.scope}
    audience = token.audience or (token.client_id,)
    account = state.account_of(token.subject)
    said = {
        **(person_claims(account, token.scope) if account else {}),
        "active": True,
        "token_type": "Bearer",
        "iss": state.issuer,
        "sub": token.subject,
        "aud": list(audience),
        "client_id": token.client_id,
        "scope": token.scope,
    }
    return said if token.expires_at is None else {**said, "exp": int(token.expires_at)}

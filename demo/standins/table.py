"""The stand-ins: what is peculiar to each provider, from the same pages as its preset."""

from __future__ import annotations

import secrets
from typing import Final

from demo.config import Account
from demo.standins.habits import Answer, Habits, Members

TENANT = "0a1b2c3d-0000-4000-8000-123456789abc"
TRANSFER = "transfer.api.globus.org"
_GITHUB = {"authorize": "/login/oauth/authorize", "token": "/login/oauth/access_token", "userinfo": "/user"}
_HALF_A_YEAR = 15811200


def _github_user(account: Account) -> Members:
    return {"id": int(account.subject), "login": account.username, "name": account.name, "email": account.email}


def _github_app(members: Members, _about: Answer) -> Members:
    ends = {"expires_in": str(members["expires_in"]), "refresh_token_expires_in": str(_HALF_A_YEAR)}
    return {**members, **ends, "scope": ""}


def _gitlab(members: Members, _about: Answer) -> Members:
    return {**members, "token_type": "bearer", "created_at": 1607635748}


def _orcid(members: Members, about: Answer) -> Members:
    return {**members, "token_type": "bearer", "name": about.account.name, "orcid": about.account.subject}


def _globus(members: Members, about: Answer) -> Members:
    other = {
        "access_token": secrets.token_urlsafe(24),
        "refresh_token": secrets.token_urlsafe(24),
        "expires_in": 172800,
        "resource_server": TRANSFER,
        "scope": f"urn:globus:auth:scope:{TRANSFER}:all",
        "token_type": "Bearer",
    }
    return {**members, "resource_server": "auth.globus.org", "other_tokens": [] if about.refreshed else [other]}


def _keycloak(members: Members, _about: Answer) -> Members:
    return {**members, "refresh_expires_in": 0, "not-before-policy": 0}


def _slack(members: Members, about: Answer) -> Members:
    place = {"ok": True, "app_id": "A1", "team": {"id": "T1", "name": "Demo"}, "enterprise": None}
    token = {**members, "token_type": "user"}
    if about.refreshed:
        return {**place, **token}
    bot = {"access_token": "xoxb-of-the-bot", "token_type": "bot", "scope": "commands", "bot_user_id": "B1"}
    return {**place, **bot, "authed_user": {"id": f"U{about.account.subject}", **token}}


def _slack_test(account: Account) -> Members:
    return {"ok": True, "team": "Demo", "team_id": "T1", "user": account.username, "user_id": f"U{account.subject}"}


def _salesforce_id(account: Account) -> str:
    return f"https://login.salesforce.com/id/00D000000000001/005{account.subject}"


def _salesforce(members: Members, about: Answer) -> Members:
    kept = {name: value for name, value in members.items() if name != "expires_in"}
    return {
        **kept,
        "id": _salesforce_id(about.account),
        "instance_url": "https://demo.my.salesforce.com",
        "issued_at": "1795000000000",
        "signature": "c2lnbmF0dXJl",
    }


def _atlassian_me(account: Account) -> Members:
    return {"account_id": f"712020:{account.subject}", "name": account.name, "email": account.email}


def _dropbox(members: Members, about: Answer) -> Members:
    found = {**members, "token_type": "bearer"}
    return found if about.refreshed else {**found, "account_id": f"dbid:{about.account.subject}", "uid": "12"}


STAND_INS: Final = (
    Habits(
        preset="github",
        kind="oauth2",
        paths={**_GITHUB, "revoke": "/applications/tokenstore/grant"},
        scope="read:user repo",
        joins=",",
        offline_when=None,
        person=_github_user,
        revocation="github-grant",
        errors=200,
    ),
    Habits(
        preset="github-app",
        kind="oauth2",
        paths={**_GITHUB, "revoke": "/applications/tokenstore/grant"},
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=28800,
        refresh_ends_access=True,
        answer=_github_app,
        person=_github_user,
        revocation="github-grant",
        errors=200,
    ),
    Habits(
        preset="google",
        paths={
            "discovery": "/.well-known/openid-configuration",
            "authorize": "/o/oauth2/v2/auth",
            "token": "/token",
            "jwks": "/jwks",
            "userinfo": "/v1/userinfo",
            "revoke": "/revoke",
        },
        knows=frozenset({"access_type", "include_granted_scopes"}),
        offline_when={"access_type": "offline", "prompt": "consent"},
        hidden_scopes=frozenset({"offline_access"}),
        rotation="none",
    ),
    Habits(
        preset="microsoft",
        vars={"tenant": TENANT},
        issuer_path=f"/{TENANT}/v2.0",
        paths={
            "discovery": f"/{TENANT}/v2.0/.well-known/openid-configuration",
            "authorize": f"/{TENANT}/oauth2/v2.0/authorize",
            "token": f"/{TENANT}/oauth2/v2.0/token",
            "jwks": "/jwks",
            "userinfo": "/oidc/userinfo",
        },
        offline_when={"scope": "offline_access"},
        hidden_scopes=frozenset({"offline_access"}),
        rotation="keep-old",
        refresh_needs=("scope",),
        revocation="none",
    ),
    Habits(
        preset="gitlab",
        paths={
            "discovery": "/.well-known/openid-configuration",
            "authorize": "/oauth/authorize",
            "token": "/oauth/token",
            "jwks": "/jwks",
            "userinfo": "/oauth/userinfo",
            "revoke": "/oauth/revoke",
        },
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=7200,
        refresh_ends_access=True,
        auth="basic",
        refresh_needs=("redirect_uri",),
        answer=_gitlab,
    ),
    Habits(
        preset="orcid",
        paths={
            "discovery": "/.well-known/openid-configuration",
            "authorize": "/oauth/authorize",
            "token": "/oauth/token",
            "jwks": "/jwks",
            "userinfo": "/oauth/userinfo",
            "revoke": "/oauth/revoke",
        },
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=631138518,
        answer=_orcid,
    ),
    Habits(
        preset="globus",
        paths={
            "discovery": "/.well-known/openid-configuration",
            "authorize": "/v2/oauth2/authorize",
            "token": "/v2/oauth2/token",
            "jwks": "/jwks",
            "userinfo": "/v2/oauth2/userinfo",
            "revoke": "/v2/oauth2/token/revoke",
        },
        knows=frozenset({"access_type"}),
        offline_when={"access_type": "offline"},
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=172800,
        rotation="none",
        auth="basic",
        answer=_globus,
    ),
    Habits(
        preset="cilogon",
        paths={
            "discovery": "/.well-known/openid-configuration",
            "authorize": "/authorize",
            "token": "/oauth2/token",
            "jwks": "/jwks",
            "userinfo": "/oauth2/userinfo",
            "revoke": "/oauth2/revoke",
        },
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=900,
    ),
    Habits(
        preset="keycloak",
        vars={"host": "sso.example.org", "realm": "demo"},
        issuer_path="/realms/demo",
        paths={
            "discovery": "/realms/demo/.well-known/openid-configuration",
            "authorize": "/realms/demo/protocol/openid-connect/auth",
            "token": "/realms/demo/protocol/openid-connect/token",
            "jwks": "/jwks",
            "userinfo": "/realms/demo/protocol/openid-connect/userinfo",
            "revoke": "/realms/demo/protocol/openid-connect/revoke",
        },
        offline_when={"scope": "offline_access"},
        lifetime=300,
        auth="basic",
        answer=_keycloak,
    ),
    Habits(
        preset="slack",
        kind="oauth2",
        paths={
            "authorize": "/oauth/v2/authorize",
            "token": "/api/oauth.v2.access",
            "userinfo": "/api/auth.test",
            "revoke": "/api/auth.revoke",
        },
        scope="chat:write,users:read",
        scope_param="user_scope",
        separator=",",
        joins=",",
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=43200,
        pkce=False,
        auth="basic",
        answer=_slack,
        person=_slack_test,
        subject=lambda account: f"U{account.subject}",
        revocation="bearer",
        says_ok=True,
    ),
    Habits(
        preset="salesforce",
        kind="oauth2",
        paths={
            "authorize": "/services/oauth2/authorize",
            "token": "/services/oauth2/token",
            "revoke": "/services/oauth2/revoke",
        },
        offline_when={"scope": "refresh_token"},
        hidden_scopes=frozenset({"offline_access"}),
        rotation="none",
        answer=_salesforce,
        person=None,
        subject=_salesforce_id,
    ),
    Habits(
        preset="atlassian",
        kind="oauth2",
        paths={"authorize": "/authorize", "token": "/oauth/token", "userinfo": "/me"},
        knows=frozenset({"audience", "prompt"}),
        offline_when={"scope": "offline_access", "audience": "api.atlassian.com"},
        rotation="grace",
        body="json",
        errors=403,
        person=_atlassian_me,
        subject=lambda account: f"712020:{account.subject}",
        revocation="none",
    ),
    Habits(
        preset="dropbox",
        kind="oauth2",
        paths={
            "authorize": "/oauth2/authorize",
            "token": "/oauth2/token",
            "revoke": "/2/auth/token/revoke",
        },
        scope="account_info.read files.metadata.read",
        knows=frozenset({"token_access_type"}),
        offline_when={"token_access_type": "offline"},
        hidden_scopes=frozenset({"offline_access"}),
        lifetime=14400,
        rotation="none",
        auth="basic",
        answer=_dropbox,
        person=None,
        subject=lambda account: f"dbid:{account.subject}",
        revocation="bearer",
    ),
)
"""One for each preset."""

"""What is known of particular providers, as settings that apply before the operator's own.

An entry is data: values by setting name without the `<ID>_`, the pages that its facts come from and when they were
read, and what could not be confirmed there. `{names}` in addresses are filled from VARS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A known provider.

    rows   settings below the operator's own
    vars   what VARS holds where the operator says nothing
    pages  where the facts come from; `read` is when, as year, month and day
    open   what those pages did not settle, in words for operators; empty if nothing is
    """

    rows: Mapping[str, object]
    pages: tuple[str, ...]
    read: str
    open: str = ""
    vars: Mapping[str, str] = field(default_factory=dict)


PRESETS: Final[Mapping[str, Preset]] = {
    # Access tokens without an end and no refresh token; scopes come back with commas between them; errors come with
    # HTTP 200.
    "github": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://github.com/login/oauth/authorize",
            "TOKEN_URL": "https://github.com/login/oauth/access_token",
            "USERINFO_URL": "https://api.github.com/user",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE_SEPARATOR": " ,",
            "SUBJECT_FIELD": "id",
            "NAME_FIELD": "login",
            "REVOKE_STYLE": "github-grant",
            "MD_NAME": "GitHub",
            "MD_URL": "https://github.com",
        },
        pages=(
            "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
            "https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization",
        ),
        read="2026-11-22",
        open="Whether the PKCE parameters, which are sent, are checked: the copy that was read says they are not. The "
        "second page was read earlier in the month.",
    ),
    # Expiring user tokens (the app's choice): 8 h, and six months for the single-use refresh token, whose use ends the
    # old access token as well. The app's permissions stand in place of scopes.
    "github-app": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://github.com/login/oauth/authorize",
            "TOKEN_URL": "https://github.com/login/oauth/access_token",
            "USERINFO_URL": "https://api.github.com/user",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SUBJECT_FIELD": "id",
            "NAME_FIELD": "login",
            "ROTATION": "strict",
            "REFRESH_ENDS_ACCESS": True,
            "REVOKE_STYLE": "github-grant",
            "MD_NAME": "GitHub",
            "MD_URL": "https://github.com",
        },
        pages=("https://docs.github.com/en/developers/apps/refreshing-user-to-server-access-tokens",),
        read="2026-11-22",
        open="Whether the PKCE parameters, which are sent, are checked; that a grant is deleted as an OAuth App's is.",
    ),
    # A refresh token comes with access_type=offline and only where the person consents; normally it stays the same.
    "google": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://accounts.google.com/.well-known/openid-configuration",
            "ALLOWED_HOSTS": ("oauth2.googleapis.com", "openidconnect.googleapis.com", "www.googleapis.com"),
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE": "openid email profile",
            "AUTHORIZE_PARAMS": {"access_type": "offline"},
            "PROMPT": "consent",
            "ROTATION": "none",
            "REVOCATION": "grant",
            "MD_NAME": "Google",
        },
        pages=("https://developers.google.com/identity/protocols/oauth2",),
        read="2026-11-22",
        open="Read in part. That a refresh token comes only with consent and stays the same; the present limit of live "
        "ones for one account and client; that revoking one ends the whole grant; that an app in testing loses them "
        "after seven days.",
    ),
    # A used refresh token is not revoked; a new one comes only where offline_access is asked for again, so the scope
    # is sent on refresh. `tenant` is the directory's id: with `common` the metadata name no issuer to compare with.
    "microsoft": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration",
            "ALLOWED_HOSTS": ("graph.microsoft.com",),
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE": "openid email profile offline_access",
            "PROMPT": "",
            "REFRESH_SCOPE": "granted",
            "ROTATION": "keep-old",
            "REVOKE_STYLE": "none",
            "MD_NAME": "Microsoft",
        },
        pages=("https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",),
        read="2026-11-22",
        open="That there is no revocation endpoint, and the form of the issuer where VARS names no directory id.",
    ),
    # 2 h; a refresh ends both old tokens and wants the redirect URI again.
    "gitlab": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://{host}/.well-known/openid-configuration",
            "SCOPE": "openid email",
            "PROMPT": "",
            "REFRESH_PARAMS": {"redirect_uri": "{redirect_uri}"},
            "ROTATION": "strict",
            "REFRESH_ENDS_ACCESS": True,
            "MD_NAME": "GitLab",
        },
        vars={"host": "gitlab.com"},
        pages=("https://docs.gitlab.com/api/oauth2/",),
        read="2026-11-22",
        open="That revoking a refresh token ends the access token with it.",
    ),
    # About 20 years; a refresh makes an additional token, so none is made. The other host is sandbox.orcid.org.
    "orcid": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://{host}/.well-known/openid-configuration",
            "REVOKE_URL": "https://{host}/oauth/revoke",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE": "openid",
            "PROMPT": "",
            "REFRESH_MODE": "never",
            "KEEP_FIELDS": ("orcid", "name"),
            "REVOCATION": "token",
            "MD_NAME": "ORCID",
            "MD_URL": "https://orcid.org",
        },
        vars={"host": "orcid.org"},
        pages=(
            "https://github.com/ORCID/ORCID-Source/blob/main/orcid-api-web/tutorial/refresh_tokens.md",
            "https://github.com/ORCID/ORCID-Source/blob/main/orcid-api-web/tutorial/revoke.md",
        ),
        read="2026-11-22",
        open="The address of the metadata; whether PKCE, which is sent, is checked; what the public API grants.",
    ),
    # One token for each resource server: the first one's refresh token is the link's, so further servers that have to
    # be refreshed need a provider entry of their own.
    "globus": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://auth.globus.org/.well-known/openid-configuration",
            "SCOPE": "openid email profile",
            "AUTHORIZE_PARAMS": {"access_type": "offline"},
            "PROMPT": "",
            "EXTRA_TOKENS_PATH": "other_tokens",
            "KEEP_FIELDS": ("resource_server",),
            "MD_NAME": "Globus",
            "MD_URL": "https://www.globus.org",
        },
        pages=(
            "https://docs.globus.org/api/auth/reference/",
            "https://globus-sdk-python.readthedocs.io/en/latest/tutorial.html",
        ),
        read="2026-11-22",
        open="Both pages were read in part; access_type and the form of other_tokens are those of programs in use. How "
        "long refresh tokens live, whether they rotate (taken to be strict) and what revoking one ends.",
    ),
    # Refresh tokens have to be allowed for the client at its registration.
    "cilogon": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://cilogon.org/.well-known/openid-configuration",
            "SCOPE": "openid email org.cilogon.userinfo",
            "PROMPT": "",
            "MD_NAME": "CILogon",
            "MD_URL": "https://www.cilogon.org",
        },
        pages=("https://www.cilogon.org/oidc",),
        read="",
        open="The page could not be read. Addresses and scopes are those that programs in use have; whether "
        "offline_access is taken, whether refresh tokens rotate (taken to be strict) and revocation are not confirmed.",
    ),
    # Whether it rotates is the realm's choice ("Revoke Refresh Token"), so that stays unknown = strict. Revoking a
    # token drops the person's consent.
    "keycloak": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://{host}/realms/{realm}/.well-known/openid-configuration",
            "SCOPE": "openid email offline_access",
            "REVOCATION": "grant",
        },
        pages=(
            "https://www.keycloak.org/securing-apps/oidc-layers",
            "https://github.com/keycloak/keycloak/issues/12916",
        ),
        read="2026-11-22",
        open="How the realm rotates: say it with ROTATION. The first page was read earlier in the month.",
    ),
    # Acts for people, not as a bot: user scopes, and the token beside the bot's at linking. Without token rotation (the
    # app's choice) tokens have no end; with it 12 h and a single-use refresh token, answered unnested.
    "slack": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://slack.com/oauth/v2/authorize",
            "TOKEN_URL": "https://slack.com/api/oauth.v2.access",
            "USERINFO_URL": "https://slack.com/api/auth.test",
            "REVOKE_URL": "https://slack.com/api/auth.revoke",
            "SCOPE_PARAM": "user_scope",
            "SCOPE_SEPARATOR": ",",
            "PKCE": "off",
            "TOKEN_PATH": "authed_user",
            "TOKEN_TYPES": ("user",),
            "KEEP_FIELDS": ("team", "enterprise"),
            "SUBJECT_FIELD": "user_id",
            "NAME_FIELD": "user",
            "ROTATION": "strict",
            "REVOKE_STYLE": "bearer",
            "MD_NAME": "Slack",
            "MD_URL": "https://slack.com",
        },
        pages=(
            "https://docs.slack.dev/reference/methods/oauth.v2.access",
            "https://docs.slack.dev/authentication/using-token-rotation",
        ),
        read="2026-11-22",
        open="Both were read in part: user_scope, nesting and the fields of auth.test are those of programs in use. "
        "What the answer to a refresh of a person's token looks like; whether PKCE, which is named there, is taken "
        "from every app, so that it stays off here.",
    ),
    # No expires_in: the session's length is the organisation's choice, so DEFAULT_EXPIRES_IN is left to the operator.
    # The address of the organisation comes with each token. The other host is test.salesforce.com.
    "salesforce": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://{host}/services/oauth2/authorize",
            "TOKEN_URL": "https://{host}/services/oauth2/token",
            "REVOKE_URL": "https://{host}/services/oauth2/revoke",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE": "api refresh_token",
            "KEEP_FIELDS": ("instance_url", "id"),
            "SUBJECT_FIELD": "id",
            "ROTATION": "strict",
            "MD_NAME": "Salesforce",
        },
        vars={"host": "login.salesforce.com"},
        pages=(
            "https://help.salesforce.com/apex/HTViewHelpDoc?id=remoteaccess_oauth_refresh_token_flow.htm",
            "https://developer.salesforce.com/docs/atlas.en-us.256.0.apexref.meta/apexref/apex_class_Auth_OauthToken.htm",
        ),
        read="2026-11-22",
        open="Read in part: instance_url and id are those of programs in use. That the revocation endpoint stands at "
        "services/oauth2/revoke; that a refresh repeats instance_url.",
    ),
    # Rotating: 90 days unused, 365 days at most; a used refresh token works for 10 minutes more.
    "atlassian": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://auth.atlassian.com/authorize",
            "TOKEN_URL": "https://auth.atlassian.com/oauth/token",
            "USERINFO_URL": "https://api.atlassian.com/me",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "BODY_FORMAT": "json",
            "SCOPE": "read:me offline_access",
            "AUTHORIZE_PARAMS": {"audience": "api.atlassian.com"},
            "PROMPT": "consent",
            "SUBJECT_FIELD": "account_id",
            "ROTATION": "grace(600)",
            "REVOKE_STYLE": "none",
            "MD_NAME": "Atlassian",
            "MD_URL": "https://www.atlassian.com",
        },
        pages=(
            "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
            "https://community.developer.atlassian.com/t/refresh-token-expire-after-36000-seconds/60806/2",
        ),
        read="2026-11-22",
        open="Read in copies and in an answer of its staff. That there is no revocation endpoint; whether PKCE, "
        "which is sent, is checked.",
    ),
    # A refresh token with token_access_type=offline, which stays the same; 4 h. Revocation acts on an access token and
    # ends the refresh token with it.
    "dropbox": Preset(
        rows={
            "TYPE": "oauth2",
            "AUTHORIZE_URL": "https://www.dropbox.com/oauth2/authorize",
            "TOKEN_URL": "https://api.dropboxapi.com/oauth2/token",
            "REVOKE_URL": "https://api.dropboxapi.com/2/auth/token/revoke",
            "AUTHORIZE_PARAMS": {"token_access_type": "offline"},
            "SUBJECT_FIELD": "account_id",
            "ROTATION": "none",
            "REVOKE_STYLE": "bearer",
            "MD_NAME": "Dropbox",
            "MD_URL": "https://www.dropbox.com",
        },
        pages=("https://dropbox.tech/developers/using-oauth-2-0-with-offline-access",),
        read="2026-11-22",
        open="Read in part. That revoking an access token ends the refresh token: programs in use do so, the page on "
        "it was not read.",
    ),
}

"""What is known of particular providers, as settings that apply before the operator's own.

An entry is data: values by setting name without the `<ID>_`, the pages that its facts come from and when they were
read, and what could not be confirmed there. `{names}` in addresses are filled from VARS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Page:
    """Where a fact was read. `part` says what was read of it or in what form, if not the page as a whole."""

    title: str
    address: str
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A known provider.

    rows   settings below the operator's own
    vars   what VARS holds where the operator says nothing
    pages  where the facts come from; `read` is when, as year, month and day
    open   what those pages did not settle, in words for operators; empty if nothing is
    """

    rows: Mapping[str, object]
    pages: tuple[Page, ...]
    read: str
    open: str = ""
    vars: Mapping[str, str] = field(default_factory=dict)


_GITHUB_PKCE = Page(
    "PKCE support for OAuth and GitHub App authentication",
    "https://github.blog/changelog/2025-07-14-pkce-support-for-oauth-and-github-app-authentication/",
    "its text elsewhere",
)
_GITHUB_GRANT = Page(
    "Delete an app authorization",
    "https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization",
    "its text in clients made from GitHub's API description",
)

PRESETS: Final[Mapping[str, Preset]] = {
    # Access tokens without an end and no refresh token; scopes come back with commas between them; errors come with
    # HTTP 200. PKCE is checked where it is sent. Deleting a grant takes an access token that is still valid, and ends
    # all tokens of the app for that person; OAuth Apps and GitHub Apps alike.
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
            Page(
                "Authorizing OAuth apps",
                "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
                "a copy older than PKCE there",
            ),
            _GITHUB_PKCE,
            _GITHUB_GRANT,
        ),
        read="2026-11-22",
    ),
    # Expiring user tokens (the app's choice, on unless it opts out): 8 h, and six months for the single-use refresh
    # token, whose use ends the old access token as well. The app's permissions stand in place of scopes.
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
        pages=(
            Page(
                "Refreshing user access tokens",
                "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/"
                "refreshing-user-access-tokens",
            ),
            _GITHUB_PKCE,
            _GITHUB_GRANT,
        ),
        read="2026-11-22",
    ),
    # A refresh token comes with access_type=offline, the first time that the person consents; refreshing brings no
    # other one. It ends after six months without use, and, while the app is "in testing", after seven days if more is
    # asked for than name, address and profile. There are 100 for one account and client: one more quietly ends the
    # oldest. Revoking an access token ends its refresh token.
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
            "REFRESH_IDLE_SECONDS": 15_552_000,
            "REVOCATION": "grant",
            "MD_NAME": "Google",
        },
        pages=(
            Page(
                "Using OAuth 2.0 to Access Google APIs",
                "https://developers.google.com/identity/protocols/oauth2",
                "Refresh token expiration, as of May 2025",
            ),
            Page(
                "Using OAuth 2.0 for Web Server Applications",
                "https://developers.google.com/identity/protocols/oauth2/web-server",
                "refreshing, revocation and time-based access",
            ),
        ),
        read="2026-11-22",
        open="That prompt=consent brings a refresh token again and not only the first time: programs in use rely on "
        "it. Others quote Google that a revocation ends the tokens of all clients of the same project: then two "
        "entries of one project end each other's links of an account.",
    ),
    # A used refresh token is not revoked and lives 90 days; a new one comes only where offline_access is asked for
    # again, so the scope is sent on refresh, though it is optional there. `tenant` is the directory's id, also for
    # personal accounts: `common` has a template for an issuer, with nothing to compare it with.
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
            "REFRESH_IDLE_SECONDS": 7_776_000,
            "REVOKE_STYLE": "none",
            "MD_NAME": "Microsoft",
        },
        pages=(
            Page(
                "Microsoft identity platform and OAuth 2.0 authorization code flow",
                "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
                "authorization, errors and refresh",
            ),
            Page(
                "Refresh tokens in the Microsoft identity platform",
                "https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens",
            ),
            Page(
                "OpenID Connect on the Microsoft identity platform",
                "https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc",
                "metadata and sign-in",
            ),
            Page(
                "Access tokens in the Microsoft identity platform",
                "https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens",
                "Validate the issuer",
            ),
            Page(
                "Revoking Azure AAD refresh token",
                "https://learn.microsoft.com/en-us/answers/questions/2151518/revoking-azure-aad-refresh-token",
                "an answer of its support",
            ),
        ),
        read="2026-11-22",
        open="That there is no revocation endpoint: no page says so, but none names one, and its support knows only "
        "how to end all sessions of a person.",
    ),
    # 2 h; a refresh ends both old tokens and wants the redirect URI again. PKCE is recommended for servers too. One
    # record holds both tokens, so that revoking either ends both.
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
        pages=(
            Page("OAuth 2.0 identity provider API", "https://docs.gitlab.com/api/oauth2/", "flows and refresh"),
            Page(
                "Doorkeeper, on which it is built",
                "https://github.com/doorkeeper-gem/doorkeeper/blob/main/lib/doorkeeper/revocable_tokens/"
                "revocable_refresh_token.rb",
                "source",
            ),
        ),
        read="2026-11-22",
    ),
    # About 20 years; a refresh makes an additional token, so none is made. Revoking either token of a pair ends both,
    # and other pairs of the person stay; the metadata do not name that endpoint. Credentials of the public API get
    # `openid` or `/authenticate`, with which the public record can be read. The other host is sandbox.orcid.org.
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
            Page(
                "ORCID authentication with OpenID Connect",
                "https://github.com/ORCID/ORCID-Source/blob/main/orcid-web/ORCID_AUTH_WITH_OPENID_CONNECT.md",
            ),
            Page(
                "Its metadata",
                "https://orcid.org/.well-known/openid-configuration",
                "as others recorded them in October 2026",
            ),
            Page(
                "Get Authenticated iDs",
                "https://github.com/ORCID/ORCID-Source/blob/main/orcid-api-web/tutorial/get_id.md",
            ),
            Page(
                "Refresh tokens",
                "https://github.com/ORCID/ORCID-Source/blob/main/orcid-api-web/tutorial/refresh_tokens.md",
            ),
            Page(
                "Revoke an access token",
                "https://github.com/ORCID/ORCID-Source/blob/main/orcid-api-web/tutorial/revoke.md",
            ),
            Page(
                "AuthorizationServerUtil",
                "https://github.com/ORCID/ORCID-Source/blob/main/orcid-core/src/main/java/org/orcid/core/oauth/"
                "authorizationServer/AuthorizationServerUtil.java",
                "source",
            ),
        ),
        read="2026-11-22",
        open="Whether PKCE, which is sent, is checked: neither tutorial nor metadata name it, and in the source that "
        "was read the verifier goes no further.",
    ),
    # One token for each resource server, each with a refresh token of its own, which is valid until it is revoked. The
    # first one's is the link's, so further servers that have to be refreshed need a provider entry of their own.
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
            Page(
                "Globus SDK for Python: Tutorial",
                "https://github.com/globus/globus-sdk-python/blob/main/docs/tutorial.rst",
            ),
            Page(
                "Globus SDK for Python: services/auth",
                "https://github.com/globus/globus-sdk-python/tree/main/src/globus_sdk/services/auth",
                "source: access_type, other_tokens, revocation",
            ),
            Page("Globus Auth API Reference", "https://docs.globus.org/api/auth/reference/", "its opening"),
        ),
        read="2026-11-22",
        open="Whether a refresh brings a new refresh token, which the SDK takes if it comes (taken to be strict); "
        "whether one that is not used ends; what revoking one ends; whether PKCE, which is sent, is checked where "
        "there is a client secret: the SDK sends none there.",
    ),
    # It runs OA4MP. Whether there are refresh tokens and how long they live is chosen at the client's registration;
    # offline_access changes nothing (and would want prompt=consent). A refresh brings a new refresh token. PKCE is
    # taken from any client. Further scopes are `profile` and `edu.uiuc.ncsa.myproxy.getcert`; the client gets those
    # that it is registered for. The other host is test.cilogon.org.
    "cilogon": Preset(
        rows={
            "TYPE": "oidc",
            "DISCOVERY_URL": "https://{host}/.well-known/openid-configuration",
            "TOKEN_AUTH_METHOD": "client_secret_post",
            "SCOPE": "openid email org.cilogon.userinfo",
            "PROMPT": "",
            "MD_NAME": "CILogon",
            "MD_URL": "https://www.cilogon.org",
        },
        vars={"host": "cilogon.org"},
        pages=(
            Page("OpenID Connect (OIDC)", "https://www.cilogon.org/oidc", "registration, endpoints and scopes"),
            Page("OIDC Clients", "https://www.cilogon.org/comanage/oidc-clients", "its opening"),
            Page(
                "Metadata of its test server",
                "https://test.cilogon.org/.well-known/openid-configuration",
                "as others recorded them",
            ),
            Page("OA4MP: Scopes", "https://oa4mp.org/common/configuration/scopes.html"),
            Page("OA4MP: Refresh Tokens", "https://oa4mp.org/client/manuals/oa2-refresh-tokens.html"),
            Page(
                "OA4MP: Service Tag", "https://oa4mp.org/server/dtd/server-dtd-service-tag.html", "rtGracePeriod, PKCE"
            ),
            Page("OA4MP: The Discovery Service", "https://oa4mp.org/server/manuals/discovery.html"),
            Page(
                "OA4MP: Supported Specifications",
                "https://oa4mp.org/common/configuration/supported-specifications.html",
            ),
        ),
        read="2026-11-22",
        open="How long a used refresh token still works: OA4MP lets it live on unless server or client say otherwise "
        "(rtGracePeriod), and what CILogon says was not found, so it is taken to be strict. What revoking a refresh "
        "token ends. Its own page was not read as far as refresh tokens.",
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
            Page(
                "Securing applications and services with OpenID Connect",
                "https://www.keycloak.org/securing-apps/oidc-layers",
                "earlier in the month",
            ),
            Page("Keycloak issue 12916", "https://github.com/keycloak/keycloak/issues/12916"),
        ),
        read="2026-11-22",
        open="How the realm rotates: say it with ROTATION.",
    ),
    # Acts for people, not as a bot: user scopes, and the token beside the bot's at linking. Without token rotation (the
    # app's choice) tokens have no end; with it 12 h and a single-use refresh token, answered unnested. PKCE stays off:
    # an app has to turn it on, cannot turn it off, counts as a public client from then on, and its refresh tokens end
    # after 30 days.
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
            Page("oauth.v2.access", "https://docs.slack.dev/reference/methods/oauth.v2.access", "Usage info"),
            Page("Using token rotation", "https://docs.slack.dev/authentication/using-token-rotation", "its opening"),
            Page("Using PKCE", "https://docs.slack.dev/authentication/using-pkce", "Considerations"),
            Page("PKCE is now generally available", "https://docs.slack.dev/changelog/2026/03/30/pkce", "its opening"),
            Page("auth.revoke", "https://api.slack.com/methods/auth.revoke", "its opening"),
            Page(
                "Slack SDK for Python: rotator.py",
                "https://github.com/slackapi/python-slack-sdk/blob/main/slack_sdk/oauth/token_rotation/rotator.py",
                "source",
            ),
        ),
        read="2026-11-22",
        open="user_scope, the nesting at linking and the fields of auth.test are those of programs in use. Whether the "
        "refresh token ends with the access token that auth.revoke ends.",
    ),
    # No expires_in: the session's length is the organisation's choice, so DEFAULT_EXPIRES_IN is left to the operator.
    # Rotation is the app's choice, and then a used refresh token is gone. Revoking a refresh token ends its access
    # tokens. The address of the organisation comes with each token. The other host is test.salesforce.com.
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
            Page(
                "OAuth 2.0 Refresh Token Flow for Renewed Sessions",
                "https://help.salesforce.com/apex/HTViewHelpDoc?id=remoteaccess_oauth_refresh_token_flow.htm",
                "its opening",
            ),
            Page(
                "Revoking OAuth Tokens",
                "https://developer.salesforce.com/docs/atlas.en-us.mobile_sdk.meta/mobile_sdk/oauth_revoking_tokens.htm",
            ),
            Page(
                "OauthToken class",
                "https://developer.salesforce.com/docs/atlas.en-us.256.0.apexref.meta/apexref/"
                "apex_class_Auth_OauthToken.htm",
                "in part",
            ),
        ),
        read="2026-11-22",
        open="That every answer, that of a refresh too, has instance_url and id: programs in use take it for granted.",
    ),
    # Rotating: 90 days unused, 365 days at most; a used refresh token works for 10 minutes more. A refresh that is
    # refused is answered with HTTP 403.
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
            "REFRESH_IDLE_SECONDS": 7_776_000,
            "REVOKE_STYLE": "none",
            "MD_NAME": "Atlassian",
            "MD_URL": "https://www.atlassian.com",
        },
        pages=(
            Page(
                "OAuth 2.0 (3LO) apps",
                "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
                "copies of parts",
            ),
            Page(
                "Implementing the Refresh Token Flow",
                "https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens/",
                "its opening",
            ),
            Page(
                "Refresh token expire after 36000 seconds",
                "https://community.developer.atlassian.com/t/refresh-token-expire-after-36000-seconds/60806/2",
                "an answer of its staff",
            ),
        ),
        read="2026-11-22",
        open="That there is no revocation endpoint, and whether PKCE, which is sent, is checked: what was read names "
        "neither, and reports of others say that there is none and that it is not.",
    ),
    # A refresh token with token_access_type=offline, which stays the same; 4 h. Revocation acts on an access token and
    # ends its refresh token and all other access tokens of that one.
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
        pages=(
            Page(
                "Using OAuth 2.0 with offline access",
                "https://dropbox.tech/developers/using-oauth-2-0-with-offline-access",
                "in part",
            ),
            Page(
                "Dropbox SDK for Java: DbxUserAuthRequests",
                "https://dropbox.github.io/dropbox-sdk-java/api-docs/v8.0.1/com/dropbox/core/v2/auth/"
                "DbxUserAuthRequests.html",
            ),
        ),
        read="2026-11-22",
    ),
}

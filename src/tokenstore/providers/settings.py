"""The settings of one provider: the table of `<ID>_…` rows.

What the values mean together is `building`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenstore.core.model import ProviderId
from tokenstore.core.secret import Secret
from tokenstore.core.settings import setting
from tokenstore.providers import checks
from tokenstore.providers.presets import PRESETS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """The rows of one provider, written `<ID>_<NAME>`."""

    preset: str = setting(
        "", "Known provider whose settings apply below these.", heading="What it is", choices=sorted(PRESETS)
    )
    vars: Mapping[str, Any] = setting({}, "Values for the `{names}` in the preset's addresses.")
    type: str = setting(
        "",
        "Whether an ID token is expected.",
        choices=("oidc", "oauth2"),
        unset="`oidc` if `DISCOVERY_URL` is set, else `oauth2`",
    )
    client_id: str = setting("", "Our id at the provider. Required.")
    client_secret: Secret = setting(  # noqa: RUF009 - a Secret never changes
        Secret(""), "Our secret there. Required unless `TOKEN_AUTH_METHOD` is `none`."
    )
    client_secrets: tuple[str, ...] = setting(
        (),
        "Further secrets, tried in this order when the provider refuses the one that worked last; for a secret that is "
        "being changed.",
        secret=True,
    )
    token_auth_method: str = setting(
        "client_secret_basic",
        "How we prove who we are at the token endpoint (RFC 6749 section 2.3.1).",
        choices=("client_secret_basic", "client_secret_post", "none"),
    )

    discovery_url: str = setting("", "Address of the provider's metadata.", heading="Where it is")
    issuer: str = setting(
        "",
        "Compared exactly with metadata, ID token and the callback's `iss`.",
        unset="what `DISCOVERY_URL` says before `/.well-known/`",
    )
    authorize_url: str = setting("", "Authorization endpoint.", unset="from the metadata")
    token_url: str = setting("", "Token endpoint.", unset="from the metadata")
    refresh_url: str = setting("", "Where refresh tokens are spent.", unset="the token endpoint")
    jwks_url: str = setting("", "Keys of ID tokens.", unset="from the metadata")
    userinfo_url: str = setting("", "Userinfo endpoint.", unset="from the metadata")
    revoke_url: str = setting("", "Revocation endpoint (RFC 7009).", unset="from the metadata")
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Hosts besides the issuer's on which endpoints named by the metadata may stand.",
        check=checks.hosts_problem,
    )

    scope: str | None = setting(
        None,
        "Scopes asked for at linking.",
        heading="Linking",
        unset="`openid email offline_access`; none for `oauth2`",
    )
    scope_separator: str = setting(
        " ",
        "What stands between scopes on the wire; of several characters the first is sent and all are read.",
        unset="a space",
        check=checks.separator_problem,
    )
    scope_param: str = setting(
        "scope",
        "Parameter of the authorization request that holds the scopes.",
        choices=("scope", "user_scope"),
    )
    pkce: str = setting("auto", "RFC 7636; `auto` is `S256`.", choices=("auto", "S256", "off"))
    prompt: str | None = setting(
        None, "The `prompt` of the authorization request; empty sends none.", unset="`consent`; none for `oauth2`"
    )
    authorize_params: Mapping[str, Any] = setting(
        {}, "Further parameters of the authorization request.", check=checks.authorize_params_problem
    )
    subject_field: str = setting(
        "sub",
        "Dotted path of the stable account id in ID token, userinfo or token response.",
        check=checks.path_problem,
    )
    name_field: str = setting("name", "Dotted path of the account's name.", check=checks.path_problem)
    email_field: str = setting("email", "Dotted path of the account's e-mail address.", check=checks.path_problem)
    account_match: str = setting(
        "auto",
        "Which account a user may link. `auto`: the user's own subject where the provider's issuer is the login "
        "issuer, else any; `sub`: the same subject; `email`: the same address, verified on both sides; `any`.",
        choices=("auto", "sub", "email", "any"),
    )
    multi_account: bool = setting(
        True, "Whether a user may link several accounts here; without it another one replaces the one that is linked."
    )

    token_params: Mapping[str, Any] = setting(
        {}, "Further parameters of the token request.", secret=True, heading="Tokens", check=checks.token_params_problem
    )
    refresh_params: Mapping[str, Any] = setting(
        {},
        "Further parameters of the refresh request; the value `{redirect_uri}` stands for ours.",
        secret=True,
        check=checks.refresh_params_problem,
    )
    body_format: str = setting("form", "How the body of a token request is written.", choices=("form", "json"))
    refresh_mode: str = setting(
        "auto",
        "`never`: an access token is handed out until its end, then the person is asked again.",
        choices=("auto", "never"),
    )
    refresh_idle_seconds: int | None = setting(
        None,
        "Seconds after which an unused refresh token dies; the store uses it before.",
        least=60,
        unset="unknown: it is used only to get access tokens",
    )
    audience_style: str = setting(
        "none",
        "How a wanted audience is expressed.",
        choices=("none", "resource", "audience", "audience-repeated"),
    )
    refresh_scope: str = setting(
        "none",
        "Scope sent on refresh; `none` lets the provider repeat what was granted (RFC 6749 section 6).",
        choices=("none", "granted", "configured"),
    )
    refresh_ends_access: bool = setting(False, "Earlier access tokens die when a new one is made.")
    rotation: str = setting(
        "strict",
        "What becomes of a used refresh token: `none` (never replaced), `keep-old`, `grace(seconds)`, `strict`.",
        check=checks.rotation_problem,
    )
    default_expires_in: int | None = setting(
        None, "Seconds an access token is taken to live when the provider does not say.", least=1, unset="unknown"
    )
    terminal_errors: tuple[str, ...] = setting(
        ("invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "refresh_token_reused"),
        "Errors of a refresh that end a link.",
    )
    token_types: tuple[str, ...] = setting(("bearer",), "Values of `token_type`, in any case, that mean Bearer.")
    token_path: str = setting(
        "", "Dotted path of the object that holds the tokens in the answer.", check=checks.optional_path_problem
    )
    extra_tokens_path: str = setting(
        "",
        "Dotted path of a list of further token objects; each is handed out where `audience` names its "
        "`resource_server`.",
        check=checks.optional_path_problem,
    )
    keep_fields: tuple[str, ...] = setting(
        (), "Dotted paths of fields of the token answer that go along as `extra`.", check=checks.paths_problem
    )
    keep_callback_fields: tuple[str, ...] = setting(
        (),
        "Parameters of the provider's redirect that go along as `extra`. They come from the browser and prove nothing.",
        check=checks.paths_problem,
    )
    revocation: str = setting("grant", "What revoking one token ends.", choices=("grant", "token"))
    revoke_style: str = setting(
        "auto",
        "How tokens are revoked; `auto` is RFC 7009 where an endpoint is known, `bearer` a call that the access token "
        "itself allows.",
        choices=("auto", "rfc7009", "bearer", "github-grant", "none"),
    )
    browser_tokens: bool = setting(True, "Whether browser sessions may fetch access tokens.")

    md_name: str = setting("", "Name shown to people.", heading="Shown to people", unset="the id")
    md_description: str = setting("", "One line about the provider.")
    md_url: str = setting("", "Its home page.")
    md_icon: str = setting("", "Address of a small picture.")
    md_logo: str = setting("", "Address of a larger picture.")


LOGIN_ROWS = frozenset(
    {
        "DISCOVERY_URL",
        "ISSUER",
        "AUTHORIZE_URL",
        "TOKEN_URL",
        "JWKS_URL",
        "USERINFO_URL",
        "ALLOWED_HOSTS",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "CLIENT_SECRETS",
        "TOKEN_AUTH_METHOD",
        "SCOPE",
        "PKCE",
        "PROMPT",
        "AUTHORIZE_PARAMS",
    }
)
"""The rows that mean something at the login provider, where they are written `OIDC_<NAME>`."""


def prefix(provider_id: ProviderId) -> str:
    """How the names of a provider's settings begin: `my-idp` gives `MY_IDP_`."""
    return provider_id.upper().replace("-", "_") + "_"

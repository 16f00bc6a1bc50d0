"""A Provider made from its settings: the preset below them, what follows from what, what is missing.

Where values come from and which ids there are is `config`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tokenstore.core.model import (
    LOGIN_PROVIDER,
    DisplayMetadata,
    Endpoints,
    Provider,
    ProviderId,
    ProviderKind,
)
from tokenstore.core.secret import Secret
from tokenstore.core.settings import fill
from tokenstore.providers import checks
from tokenstore.providers.fields import scope_names
from tokenstore.providers.placeholders import fill_in
from tokenstore.providers.presets import PRESETS
from tokenstore.providers.settings import ProviderSettings, prefix

_WELL_KNOWN = "/.well-known/openid-configuration"
_LOGIN_DEFAULTS: Mapping[str, object] = {"TYPE": "oidc", "SCOPE": "openid email profile", "PROMPT": ""}


@dataclass(frozen=True, slots=True)
class Built:
    """A provider made from settings: None if there are problems. `settings` are the rows as they came out, and
    `preset_rows` the names of those that the preset gave."""

    provider: Provider | None
    settings: ProviderSettings
    preset_rows: frozenset[str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def build_provider(
    provider_id: ProviderId,
    given: Mapping[str, object],
    *,
    redirect_uri: str,
    plain_http_hosts: frozenset[str] = frozenset(),
    unreadable: frozenset[str] = frozenset(),
) -> Built:
    """The provider that these values, by row name, describe; LOGIN_PROVIDER builds the login provider.

    plain_http_hosts  hosts that may be spoken to without TLS; loopback always may
    unreadable        rows that were given and could not be read, so that they are not called missing as well
    """
    start = prefix(provider_id)
    below, problems = _below(provider_id, given, start)
    rows, bad_values = fill(ProviderSettings, {**below, **given})
    kind = ProviderKind(rows.type or ("oidc" if rows.discovery_url else "oauth2"))
    issuer = rows.issuer or checks.issuer_of(rows.discovery_url)
    scopes = _scopes(rows, kind)
    problems += [f"{name} {problem}" for name, problem in bad_values.items()]
    problems += _url_problems(rows, plain_http_hosts)
    if problem := checks.scopes_problem(scopes):
        problems.append(f"SCOPE {problem}")
    if kind is ProviderKind.OIDC and "openid" not in scopes:
        mend = "add it" if provider_id == LOGIN_PROVIDER else f"add it, or set {start}TYPE to oauth2"
        problems.append(f"SCOPE lacks openid, without which no ID token comes: {mend}")
    problems += _missing_addresses(rows, kind, issuer, start) if not problems else []
    problems += _missing_credentials(rows, unreadable, start)
    metadata, warnings = _metadata(rows)
    return Built(
        provider=None
        if problems or unreadable
        else _provider(provider_id, rows, kind, issuer, scopes, redirect_uri, metadata),
        settings=rows,
        preset_rows=frozenset(below) - frozenset(given),
        problems=tuple(start + problem for problem in problems),
        warnings=tuple(start + warning for warning in warnings),
    )


def _below(provider_id: ProviderId, given: Mapping[str, object], start: str) -> tuple[dict[str, object], list[str]]:
    """What applies where the operator says nothing: the preset with its variables filled in."""
    if provider_id == LOGIN_PROVIDER:
        return dict(_LOGIN_DEFAULTS), []
    asked, unusable = fill(ProviderSettings, {name: given[name] for name in ("PRESET", "VARS") if name in given})
    preset = PRESETS.get(asked.preset)
    if preset is None or unusable:
        return {}, []
    return fill_in(preset, asked.vars, overridden=frozenset(given), start=start)


def _provider(
    provider_id: ProviderId,
    rows: ProviderSettings,
    kind: ProviderKind,
    issuer: str | None,
    scopes: tuple[str, ...],
    redirect_uri: str,
    metadata: DisplayMetadata,
) -> Provider:
    prompt = rows.prompt if rows.prompt is not None else "consent" if kind is ProviderKind.OIDC else None
    secrets = _secrets(rows)
    return Provider(
        id=provider_id,
        kind=kind,
        client_id=rows.client_id,
        redirect_uri=redirect_uri,
        issuer=issuer,
        discovery_url=rows.discovery_url or None,
        endpoints=Endpoints(
            authorize=rows.authorize_url or None,
            token=rows.token_url or None,
            refresh=rows.refresh_url or None,
            jwks=rows.jwks_url or None,
            userinfo=rows.userinfo_url or None,
            revoke=rows.revoke_url or None,
        ),
        client_secret=secrets[0] if secrets else None,
        further_secrets=secrets[1:],
        auth_method=rows.token_auth_method,
        scopes=scopes,
        scope_separator=rows.scope_separator,
        scope_param=rows.scope_param,
        pkce=rows.pkce != "off",
        prompt=prompt or None,
        authorize_params=checks.parameters(rows.authorize_params),
        token_params=checks.parameters(rows.token_params),
        body_format=rows.body_format,
        refresh_params=tuple(
            (name, redirect_uri if value == checks.OUR_REDIRECT_URI else value)
            for name, value in checks.parameters(rows.refresh_params)
        ),
        refreshes=rows.refresh_mode == "auto",
        refresh_idle=timedelta(seconds=rows.refresh_idle_seconds) if rows.refresh_idle_seconds else None,
        audience_style=rows.audience_style,
        refresh_scope=rows.refresh_scope,
        refresh_ends_access=rows.refresh_ends_access,
        rotation=checks.rotation(rows.rotation),
        revokes_grant=rows.revocation == "grant",
        revoke_style=rows.revoke_style,
        default_expires_in=timedelta(seconds=rows.default_expires_in) if rows.default_expires_in else None,
        terminal_errors=frozenset(rows.terminal_errors),
        token_types=frozenset(name.lower() for name in rows.token_types),
        token_path=rows.token_path or None,
        extra_tokens_path=rows.extra_tokens_path or None,
        keep_fields=rows.keep_fields,
        keep_callback_fields=rows.keep_callback_fields,
        subject_field=rows.subject_field,
        name_field=rows.name_field,
        email_field=rows.email_field,
        account_match=rows.account_match,
        multi_account=rows.multi_account,
        allowed_hosts=frozenset(rows.allowed_hosts),
        browser_tokens=rows.browser_tokens,
        metadata=metadata,
    )


def _url_problems(rows: ProviderSettings, plain_http_hosts: frozenset[str]) -> list[str]:
    named = {
        "DISCOVERY_URL": rows.discovery_url,
        "ISSUER": rows.issuer,
        "AUTHORIZE_URL": rows.authorize_url,
        "TOKEN_URL": rows.token_url,
        "REFRESH_URL": rows.refresh_url,
        "JWKS_URL": rows.jwks_url,
        "USERINFO_URL": rows.userinfo_url,
        "REVOKE_URL": rows.revoke_url,
    }
    found = ((name, checks.url_problem(url, plain_http_hosts)) for name, url in named.items() if url)
    return [f"{name} {problem}" for name, problem in found if problem]


def _missing_credentials(rows: ProviderSettings, unreadable: frozenset[str], start: str) -> list[str]:
    missing = []
    if not rows.client_id:
        missing.append("CLIENT_ID is missing: write the id that the provider gave you when you registered this store")
    known = _secrets(rows) or unreadable & {"CLIENT_SECRET", "CLIENT_SECRETS"}
    if not known and rows.token_auth_method != "none":
        missing.append(
            f"CLIENT_SECRET is missing: write it, name its file in {start}CLIENT_SECRET_FILE, or set "
            f"{start}TOKEN_AUTH_METHOD to none for a public client"
        )
    return missing


def _secrets(rows: ProviderSettings) -> tuple[Secret, ...]:
    """Our secrets at the provider, each once, CLIENT_SECRET first."""
    given = [rows.client_secret.reveal(), *rows.client_secrets]
    return tuple(Secret(text) for text in dict.fromkeys(given) if text)


def _missing_addresses(rows: ProviderSettings, kind: ProviderKind, issuer: str | None, start: str) -> list[str]:
    if rows.discovery_url:
        return [] if issuer else [_no_well_known(rows.discovery_url, start)]
    if kind is ProviderKind.OIDC and not (rows.issuer and rows.authorize_url and rows.token_url and rows.jwks_url):
        instead = [f"{start}{name}" for name in ("ISSUER", "AUTHORIZE_URL", "TOKEN_URL", "JWKS_URL")]
        return [f"DISCOVERY_URL is missing: write it, or {', '.join(instead[:-1])} and {instead[-1]}"]
    if kind is ProviderKind.OAUTH2 and not (rows.authorize_url and rows.token_url):
        return [f"AUTHORIZE_URL or {start}TOKEN_URL is missing: write both, or {start}DISCOVERY_URL, or {start}PRESET"]
    return []


def _no_well_known(discovery_url: str, start: str) -> str:
    """What to do about a discovery address that does not show the issuer: mostly it is the issuer itself."""
    issuer = f"{start}ISSUER as the metadata there names it"
    if "/.well-known/" in discovery_url or "?" in discovery_url:
        return f"DISCOVERY_URL does not show the issuer: write {issuer}"
    usual = discovery_url.rstrip("/") + _WELL_KNOWN
    return f"DISCOVERY_URL shows no {_WELL_KNOWN}: write {usual}, or, if the address really is another, {issuer}"


def _scopes(rows: ProviderSettings, kind: ProviderKind) -> tuple[str, ...]:
    text = rows.scope
    if text is None:
        text = "openid email offline_access" if kind is ProviderKind.OIDC else ""
    return scope_names(text, rows.scope_separator)


def _metadata(rows: ProviderSettings) -> tuple[DisplayMetadata, list[str]]:
    """What people see, without addresses that are no web addresses; each of those is a warning."""
    urls: dict[str, str | None] = {"url": rows.md_url, "icon": rows.md_icon, "logo": rows.md_logo}
    warnings = []
    for name, url in urls.items():
        if url and not checks.is_web_address(url):
            warnings.append(f"MD_{name.upper()} is left out: write an http or https address")
            urls[name] = None
    return (
        DisplayMetadata(
            name=rows.md_name or None,
            description=rows.md_description or None,
            url=urls["url"] or None,
            icon=urls["icon"] or None,
            logo=urls["logo"] or None,
        ),
        warnings,
    )

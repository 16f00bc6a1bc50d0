"""What is known of particular providers, as settings that apply before the operator's own.

An entry is data: values by setting name without the `<ID>_`. `{names}` in addresses are filled from VARS. Each entry
names the page that its facts come from and when that was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_HOST_AND_PORT = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_PATH_SEGMENT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._~-]+")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

PRESETS: Final[Mapping[str, Mapping[str, object]]] = {
    # GitHub OAuth App: no discovery, ID token, lifetime or refresh token; commas between the scopes that come back.
    # https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps, 2026-11
    # https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization, 2026-11
    "github": {
        "TYPE": "oauth2",
        "AUTHORIZE_URL": "https://github.com/login/oauth/authorize",
        "TOKEN_URL": "https://github.com/login/oauth/access_token",
        "USERINFO_URL": "https://api.github.com/user",
        "TOKEN_AUTH_METHOD": "client_secret_post",
        "SCOPE_SEPARATOR": ",",
        "SUBJECT_FIELD": "id",
        "NAME_FIELD": "login",
        "REVOKE_STYLE": "github-grant",
        "MD_NAME": "GitHub",
        "MD_URL": "https://github.com",
    },
    # Keycloak realm. Whether it rotates is the realm's choice ("Revoke Refresh Token"), so that stays unknown = strict.
    # https://www.keycloak.org/securing-apps/oidc-layers, 2026-11
    "keycloak": {
        "TYPE": "oidc",
        "DISCOVERY_URL": "https://{host}/realms/{realm}/.well-known/openid-configuration",
        "SCOPE": "openid email offline_access",
        "REVOCATION": "grant",
    },
}


def fill_in(
    preset: Mapping[str, object], values: Mapping[str, Any], overridden: frozenset[str]
) -> tuple[dict[str, object], list[str]]:
    """A preset with the `{names}` in its texts replaced by VARS, and what is wrong with VARS.

    `overridden` rows are left out: nobody has to fill in what is not used.
    """
    filled: dict[str, object] = {}
    problems: list[str] = []
    wanted: set[str] = set()
    for row, template in preset.items():
        if row in overridden:
            continue
        if not isinstance(template, str):
            filled[row] = template
            continue
        host = template.split("/", 3)[2] if "://" in template else ""
        names = set(_PLACEHOLDER.findall(template))
        wanted |= names
        problems += _var_problems(names, set(_PLACEHOLDER.findall(host)), values)
        filled[row] = _PLACEHOLDER.sub(lambda match: str(values.get(match[1], "")), template)
    known = {name for template in preset.values() for name in _PLACEHOLDER.findall(str(template))}
    problems += [f"VARS holds {name!r}, which the preset does not use" for name in sorted(set(values) - known)]
    return ({} if problems else filled), list(dict.fromkeys(problems))


def _var_problems(names: set[str], in_host: set[str], values: Mapping[str, Any]) -> list[str]:
    problems = []
    for name in sorted(names):
        value = values.get(name)
        if value is None:
            problems.append(f'VARS lacks {name!r}: write VARS = {{"{name}": "…"}}')
        elif not isinstance(value, str) or not (_HOST_AND_PORT if name in in_host else _PATH_SEGMENT).fullmatch(value):
            what = "a host name in lower case" if name in in_host else "one part of a path, without /, ?, # or %"
            problems.append(f"VARS has an unusable {name!r}: write {what}")
    return problems

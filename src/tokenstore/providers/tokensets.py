"""The tokens in a good answer of a token endpoint, wherever a provider puts them (RFC 6749 section 5.1).

Pure. Owns which object holds the tokens, their form, lives and scopes; whether the answer is a good one is for
`answers` to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from tokenstore.core.model import Granted, Outcome, Provider, TokenSet, Unclear
from tokenstore.core.secret import Secret
from tokenstore.providers.fields import lookup, scope_names, subject_text
from tokenstore.providers.lifetimes import lifetime, with_allowance

MOST_OTHERS: Final = 8
"""Tokens for further resource servers that are taken from one answer."""

_TOKEN = re.compile(r"[ -~]+")
_SCOPE = re.compile(r"[!#-\[\]-~]+")


def read_tokens(provider: Provider, members: Mapping[str, Any], keep: Sequence[str]) -> Outcome:
    """Granted, or Unclear with a refresh token that came in an otherwise useless answer.

    `keep` and KEEP_FIELDS name fields of the outer object that are handed on as `extra`.
    """
    holder = _holder(provider, members)
    refresh_token = _token(holder.get("refresh_token"))
    access_token = _token(holder.get("access_token"))
    if access_token is None:
        return Unclear("no-access-token", refresh_token)
    if not _is_bearer(provider, holder):
        return Unclear("token-type", refresh_token)
    if holder.get("refresh_token") and refresh_token is None:
        return Unclear("refresh-token")
    refresh_life, endless = _refresh_lifetime(holder)
    return Granted(
        TokenSet(
            access_token=access_token,
            expires_in=_access_lifetime(provider, holder),
            refresh_token=refresh_token,
            refresh_expires_in=refresh_life,
            refresh_never_expires=endless,
            scopes=_scopes(provider, holder.get("scope")),
            id_token=_token(holder.get("id_token")) or _token(members.get("id_token")),
            extra=kept(members, (*provider.keep_fields, *keep)),
            others=_others(provider, members),
        )
    )


def kept(members: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The fields that are there, by their dotted paths."""
    return {path: value for path in paths if (value := lookup(members, path)) is not None}


def _holder(provider: Provider, members: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object at TOKEN_PATH, else the outer one: Slack nests a token at linking and does not at refresh."""
    nested = lookup(members, provider.token_path) if provider.token_path else None
    return nested if isinstance(nested, Mapping) and "access_token" in nested else members


def _is_bearer(provider: Provider, holder: Mapping[str, Any]) -> bool:
    token_type = holder.get("token_type")
    return isinstance(token_type, str) and token_type.lower() in provider.token_types


def _token(value: object) -> Secret | None:
    """A token as RFC 6749 appendix A.12 and A.17 spell it: visible ASCII and spaces."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _access_lifetime(provider: Provider, holder: Mapping[str, Any]) -> timedelta | None:
    life = lifetime(holder.get("expires_in")) or provider.default_expires_in
    return None if life is None else with_allowance(life)


def _refresh_lifetime(holder: Mapping[str, Any]) -> tuple[timedelta | None, bool]:
    """How long the refresh token lives, the earlier of two statements, and whether it is said to live for ever."""
    # refresh_expires_in: Keycloak, where 0 stands for no end; refresh_token_expires_in: GitHub and others.
    said = [lifetime(holder.get(name)) for name in ("refresh_expires_in", "refresh_token_expires_in")]
    known = [life for life in said if life is not None]
    endless = holder.get("refresh_expires_in") in (0, "0") and holder.get("refresh_expires_in") is not False
    return min(known, default=None), endless and not known


def _scopes(provider: Provider, value: object) -> frozenset[str] | None:
    """The granted scopes; None, meaning as requested, if the answer does not say (RFC 6749 section 5.1)."""
    if not isinstance(value, str):
        return None
    return frozenset(_SCOPE.findall(" ".join(scope_names(value, provider.scope_separator))))


def _others(provider: Provider, members: Mapping[str, Any]) -> dict[str, TokenSet]:
    """The tokens at EXTRA_TOKENS_PATH by resource server, the first of each; what is not in order is passed over.

    A refresh token beside one of them is left: a link has one refresh token, that of its own resource server.
    """
    listed = lookup(members, provider.extra_tokens_path) if provider.extra_tokens_path else None
    found: dict[str, TokenSet] = {}
    for item in listed if isinstance(listed, list) else []:
        if len(found) == MOST_OTHERS or not isinstance(item, Mapping):
            continue
        server, access_token = subject_text(item.get("resource_server")), _token(item.get("access_token"))
        if server is None or access_token is None or not _is_bearer(provider, item):
            continue
        # Without a scope of its own it would pass for what the link holds.
        scopes = _scopes(provider, item.get("scope")) or frozenset()
        found.setdefault(server, TokenSet(access_token, _access_lifetime(provider, item), scopes=scopes))
    return found

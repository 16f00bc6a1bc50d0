"""Reading what a token endpoint answered (RFC 6749 sections 5.1 and 5.2, and the ways providers depart from them).

Pure: an answer goes in, one of the closed outcomes comes out, whatever the provider sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from tokenstore.core.model import (
    Granted,
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.secret import Secret
from tokenstore.providers.fields import lookup
from tokenstore.providers.lifetimes import lifetime, retry_after, with_allowance
from tokenstore.providers.messages import Response
from tokenstore.providers.strict_json import BadJson, parse_object

OAUTH_ERRORS: Final = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "bad_refresh_token",
        "bad_verification_code",
        "consent_required",
        "incorrect_client_credentials",
        "insufficient_scope",
        "interaction_required",
        "invalid_client",
        "invalid_dpop_proof",
        "invalid_grant",
        "invalid_refresh_token",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "invalid_token",
        "login_required",
        "redirect_uri_mismatch",
        "refresh_token_reused",
        "server_error",
        "slow_down",
        "temporarily_unavailable",
        "token_revoked",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",
        "unverified_user_email",
    }
)
"""Error codes that may be logged and shown; any other is called `other`, for it is the provider's text."""

_SCOPE_ERRORS = frozenset({"invalid_scope", "invalid_target"})
_PASSING_ERRORS = frozenset({"server_error", "temporarily_unavailable", "slow_down"})
_PASSING_STATUSES = frozenset({408, 425, 429})
_TOKEN = re.compile(r"[ -~]+")
_SCOPE = re.compile(r"[!#-\[\]-~]+")
_MAX_FIELDS = 64


def read_token_response(provider: Provider, response: Response, keep: Sequence[str] = ()) -> Outcome:
    """What an answer to a token request means; never raises.

    `keep` names fields (dotted paths) that are handed on in `TokenSet.extra`. An error in the body wins over any
    status, and over tokens beside it.
    """
    members = _members(response)
    code = _error_code(provider, members)
    if code is not None:
        return _error_outcome(provider, response, code)
    if response.status != 200:
        return _status_outcome(response)
    return _read_tokens(provider, members, keep)


def known_code(code: object) -> str:
    """An error code if it is one that may be logged, else `other`."""
    return code if isinstance(code, str) and code in OAUTH_ERRORS else "other"


def _members(response: Response) -> Mapping[str, Any] | None:
    """The answer as an object: JSON, else a form where type or shape says so (GitHub); None if it is neither."""
    try:
        return parse_object(response.body)
    except BadJson:
        pass
    try:
        text = response.body.decode("ascii").strip()
        is_form = "x-www-form-urlencoded" in response.content_type.lower()
        if not is_form and not text.startswith(("access_token=", "error=")):
            return None
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        return None
    members = dict(pairs)
    return members if len(members) == len(pairs) else None


def _error_code(provider: Provider, members: Mapping[str, Any] | None) -> str | None:
    """The error in an answer: the code where we know it, `other` where we do not, None where there is none."""
    if members is None:
        return None
    error = members.get("error")
    if isinstance(error, str) and error in provider.terminal_errors:
        return error
    if error:
        return known_code(error)
    # Slack says no with "ok": false and HTTP 200.
    return "other" if members.get("ok") is False else None


def _error_outcome(provider: Provider, response: Response, code: str) -> Outcome:
    if code in provider.terminal_errors:
        return Refused(code)
    if code in _PASSING_ERRORS or response.status >= 500 or response.status in _PASSING_STATUSES:
        return Unavailable(code if code in _PASSING_ERRORS else f"status-{response.status}", retry_after(response))
    if code in _SCOPE_ERRORS:
        return ScopeRefused(code)
    return Misconfigured(code)


def _status_outcome(response: Response) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Unclear(f"status-{status}")
    if status >= 500 or status in _PASSING_STATUSES:
        return Unavailable(f"status-{status}", retry_after(response))
    # Redirects included: they are never followed, and the operator has to see to the address.
    return Misconfigured(f"status-{status}")


def _read_tokens(provider: Provider, members: Mapping[str, Any] | None, keep: Sequence[str]) -> Outcome:
    if members is None:
        return Unclear("no-token-answer")
    refresh_token = _token(members.get("refresh_token"))
    access_token = _token(members.get("access_token"))
    if access_token is None:
        return Unclear("no-access-token", refresh_token)
    token_type = members.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() not in provider.token_types:
        return Unclear("token-type", refresh_token)
    if members.get("refresh_token") and refresh_token is None:
        return Unclear("refresh-token")
    life = lifetime(members.get("expires_in")) or provider.default_expires_in
    refresh_life, endless = _refresh_lifetime(members)
    return Granted(
        TokenSet(
            access_token=access_token,
            expires_in=None if life is None else with_allowance(life),
            refresh_token=refresh_token,
            refresh_expires_in=refresh_life,
            refresh_never_expires=endless,
            scopes=_scopes(provider, members.get("scope")),
            id_token=_token(members.get("id_token")),
            extra={name: value for name in keep if (value := lookup(members, name)) is not None},
        )
    )


def _token(value: object) -> Secret | None:
    """A token as RFC 6749 appendix A.12 and A.17 spell it: visible ASCII and spaces."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _refresh_lifetime(members: Mapping[str, Any]) -> tuple[timedelta | None, bool]:
    """How long the refresh token lives, the earlier of two statements, and whether it is said to live for ever."""
    # refresh_expires_in: Keycloak, where 0 stands for no end; refresh_token_expires_in: GitHub and others.
    said = [lifetime(members.get(name)) for name in ("refresh_expires_in", "refresh_token_expires_in")]
    known = [life for life in said if life is not None]
    endless = members.get("refresh_expires_in") in (0, "0") and members.get("refresh_expires_in") is not False
    return min(known, default=None), endless and not known


def _scopes(provider: Provider, value: object) -> frozenset[str] | None:
    """The granted scopes; None, meaning as requested, if the answer does not say (RFC 6749 section 5.1)."""
    if not isinstance(value, str):
        return None
    return frozenset(_SCOPE.findall(value.replace(provider.scope_separator, " ")))

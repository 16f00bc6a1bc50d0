"""Reading what a token endpoint answered (RFC 6749 sections 5.1 and 5.2, and the ways providers depart from them).

Pure: an answer goes in, one of the closed outcomes comes out, whatever the provider sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from tokenstore.core.model import (
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    ScopeRefused,
    Unavailable,
    Unclear,
)
from tokenstore.providers.lifetimes import retry_after
from tokenstore.providers.messages import Response
from tokenstore.providers.salvage import salvaged_refresh_token
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.tokensets import read_tokens

OAUTH_ERRORS: Final = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "bad_client_secret",
        "bad_refresh_token",
        "bad_verification_code",
        "consent_required",
        "fatal_error",
        "incorrect_client_credentials",
        "insufficient_scope",
        "interaction_required",
        "internal_error",
        "invalid_client",
        "invalid_client_id",
        "invalid_dpop_proof",
        "invalid_grant",
        "invalid_refresh_token",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "invalid_token",
        "login_required",
        "ratelimited",
        "redirect_uri_mismatch",
        "refresh_token_reused",
        "request_timeout",
        "server_error",
        "service_unavailable",
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

CLIENT_REFUSALS: Final = frozenset(
    {
        "bad_client_secret",
        "incorrect_client_credentials",
        "invalid_client",
        "invalid_client_id",
        "status-401",
        "unauthorized_client",
    }
)
"""Codes of `Misconfigured` that mean our credentials (RFC 6749 section 5.2, and GitHub, Slack and Keycloak)."""

_SCOPE_ERRORS = frozenset({"invalid_scope", "invalid_target"})
_PASSING_ERRORS = frozenset(
    {
        "server_error",
        "temporarily_unavailable",
        "slow_down",
        # Slack says these with HTTP 200.
        "fatal_error",
        "internal_error",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
    }
)
_PASSING_STATUSES = frozenset({408, 425, 429})
_MAX_FIELDS = 64


def read_token_response(provider: Provider, response: Response, keep: Sequence[str] = ()) -> Outcome:
    """What an answer to a token request means; never raises.

    `keep` names fields (dotted paths) that are handed on in `TokenSet.extra`. An error in the body wins over any
    status, and over tokens beside it.
    """
    members = _members(response)
    code = _error_code(provider, members)
    if code is not None:
        return _kept(_error_outcome(provider, response, code), response)
    if response.status != 200:
        return _kept(_status_outcome(response), response)
    if members is None:
        return Unclear("no-token-answer", salvaged_refresh_token(response.body))
    return read_tokens(provider, members, keep)


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


def _kept(outcome: Outcome, response: Response) -> Outcome:
    """The outcome, unless an answer that says no clear no brought a refresh token: that one has to be kept."""
    if not isinstance(outcome, Unavailable | Unclear) or not 200 <= response.status < 300:
        return outcome
    token = salvaged_refresh_token(response.body)
    return outcome if token is None else Unclear(outcome.reason, token)

"""Logout tokens: the validation of OIDC Back-Channel Logout 1.0 section 2.6, failing closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tokenstore.core.model import LogoutNotice, Provider
from tokenstore.core.secret import Secret
from tokenstore.errors import InvalidRequest
from tokenstore.providers.fields import subject_text
from tokenstore.providers.jwks import KeySource
from tokenstore.providers.signed import SignedToken, TokenRefused, verify_signature

OLDEST: Final = timedelta(minutes=2)
"""How long ago a logout token may have been made."""

_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_TYPES: Final = frozenset({"logout+jwt", "application/logout+jwt", "jwt"})
_MOST: Final = 512


def verify_logout_token(
    token: Secret, provider: Provider, keys: KeySource, *, issuer: str, now: datetime
) -> LogoutNotice:
    """What a logout token of the login provider says.

    Checked: signature with the provider's pinned algorithms, `typ`, `iss` exact, `aud` names our client, `exp` and
    `iat` there and `iat` at most two minutes ago, the event, `jti`, `sub` or `sid`, and no `nonce`. Whether it came
    before is for the caller. Raises InvalidRequest, or what `keys` raises.
    """
    try:
        signed = verify_signature(token, keys, provider.id_token_algorithms)
        _check_purpose(signed)
        signed.check_issuer(issuer)
        signed.check_times(now)
        _check_addressee(signed, provider.client_id)
        _check_age(signed, now)
        return _notice(signed, issuer)
    except TokenRefused as exc:
        raise InvalidRequest("This is no acceptable logout token.", debug=exc.reason) from None


def _check_purpose(signed: SignedToken) -> None:
    header_type = signed.header.get("typ")
    if header_type is not None and (not isinstance(header_type, str) or header_type.lower() not in _TYPES):
        raise TokenRefused("typ")
    # Keycloak marks the kind in a claim, and no more than JWT in the header.
    if signed.claims.get("typ", "Logout") != "Logout":
        raise TokenRefused("typ")
    if "nonce" in signed.claims:
        raise TokenRefused("nonce")
    events = signed.claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise TokenRefused("events")


def _check_addressee(signed: SignedToken, client_id: str) -> None:
    if client_id not in signed.audiences:
        raise TokenRefused("audience")


def _check_age(signed: SignedToken, now: datetime) -> None:
    if now.timestamp() - signed.instant("iat", required=True) > OLDEST.total_seconds():
        raise TokenRefused("too-old")


def _notice(signed: SignedToken, issuer: str) -> LogoutNotice:
    token_id, subject, sid = signed.text("jti"), signed.text("sub"), signed.text("sid")
    if not token_id or len(token_id) > _MOST:
        raise TokenRefused("jti")
    if subject is not None and subject_text(subject) is None:
        raise TokenRefused("sub")
    if sid is not None and subject_text(sid) is None:
        raise TokenRefused("sid")
    if subject is None and sid is None:
        raise TokenRefused("sub")
    return LogoutNotice(issuer, token_id, subject, sid)

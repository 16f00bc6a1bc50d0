"""Access tokens that callers bring to our API: JWTs of the login provider (RFC 9068, and plain ones before it)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials
from tokenstore.providers.fields import subject_text
from tokenstore.providers.jwks import KeySource
from tokenstore.providers.signed import SignedToken, TokenRefused, verify_signature

_OTHER_PURPOSES: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})
"""Claims of ID tokens (OIDC Core sections 2 and 3.3) and logout tokens (Back-Channel Logout section 2.4)."""
_ACCESS_ONLY: Final = frozenset({"scope", "scp", "client_id"})
"""Claims that access tokens hold and ID tokens do not (RFC 9068 section 2.2; `scp` is Microsoft's)."""
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})


def verify_access_token(
    token: Secret,
    keys: KeySource,
    *,
    issuer: str,
    audiences: Collection[str],
    algorithms: Collection[str],
    now: datetime,
    authorized_parties: Collection[str] = (),
) -> Mapping[str, Any]:
    """The claims of an access token that the issuer made for us.

    Checked: signature with the pinned algorithms, `typ`, `iss` exact, `aud` holds one of `audiences`, `exp` (required),
    `nbf` and `iat`, `sub` present, and where `authorized_parties` are given `azp` or `client_id` is one of them. A
    token made for another purpose (ID token, logout token) is refused, and so is one that neither says that it is an
    access token (`typ`) nor holds `scope`, `scp` or `client_id`. Raises BadCredentials, or what `keys` raises.
    """
    try:
        signed = verify_signature(token, keys, algorithms)
        _check_purpose(signed)
        refuse_sender_constrained(signed.claims)
        signed.check_issuer(issuer)
        signed.check_times(now)
        _check_parties(signed, audiences, authorized_parties)
    except TokenRefused as exc:
        raise BadCredentials(
            "The access token is not valid here. Get a fresh one from the login provider, made for this service.",
            debug=exc.reason,
        ) from None
    return signed.claims


def authorized_party(claims: Mapping[str, Any]) -> str | None:
    """The client an access token was issued to: `client_id` (RFC 9068 section 2.2) or `azp` (Keycloak).

    None if there is neither, or if the two differ.
    """
    named = {claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)}
    return named.pop() if len(named) == 1 else None


def refuse_sender_constrained(claims: Mapping[str, Any]) -> None:
    """Refuse a token that only the holder of a key may use (RFC 9449 section 6, RFC 8705 section 3).

    No proof of that is checked here. Raises TokenRefused.
    """
    if claims.get("cnf") is not None:
        raise TokenRefused("cnf")


def _check_purpose(signed: SignedToken) -> None:
    header_type = signed.header.get("typ")
    if header_type is not None and (not isinstance(header_type, str) or header_type.lower() not in _TYPES):
        raise TokenRefused("typ")
    # Keycloak marks the kind in a claim: Bearer, ID, Refresh, Logout.
    claimed_type = signed.claims.get("typ", "Bearer")
    if claimed_type != "Bearer" or not _OTHER_PURPOSES.isdisjoint(signed.claims):
        raise TokenRefused("typ")
    # An ID token has our client id as audience too, and need not hold anything that only ID tokens hold.
    is_marked = "typ" in signed.claims or str(header_type).lower() not in ("none", "jwt")
    if not is_marked and _ACCESS_ONLY.isdisjoint(signed.claims):
        raise TokenRefused("typ")


def _check_parties(signed: SignedToken, audiences: Collection[str], authorized_parties: Collection[str]) -> None:
    if not signed.audiences & frozenset(audiences):
        raise TokenRefused("audience")
    if subject_text(signed.text("sub")) is None:
        raise TokenRefused("sub")
    if authorized_parties and authorized_party(signed.claims) not in authorized_parties:
        raise TokenRefused("azp")

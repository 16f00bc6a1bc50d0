"""ID tokens: the validation of OIDC Core 1.0 section 3.1.3.7, every option spelled out, failing closed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tokenstore.core.model import Provider
from tokenstore.core.secret import Secret
from tokenstore.providers.fields import subject_text
from tokenstore.providers.jwks import KeySource
from tokenstore.providers.signed import SignedToken, TokenRefused, verify_signature


def verify_id_token(
    token: Secret,
    provider: Provider,
    keys: KeySource,
    *,
    issuer: str,
    nonce: Secret,
    access_token: Secret,
    now: datetime,
) -> Mapping[str, Any]:
    """The claims of an ID token that this provider made for us, for this attempt, at about this time.

    Checked: signature with the provider's pinned algorithms, `iss` exact, `aud` and `azp` name our client, `exp` and
    `iat`, `sub` present, `nonce` equal, `at_hash` (if there) of the access token that came with it. Raises
    TokenRefused, or what `keys` raises.
    """
    signed = verify_signature(token, keys, provider.id_token_algorithms)
    signed.check_issuer(issuer)
    _check_audience(signed, provider.client_id)
    if "iat" not in signed.claims:
        raise TokenRefused("iat")
    signed.check_times(now)
    # Not a number here: only the configured subject field may be one, and `sub` is a string by specification.
    if subject_text(signed.text("sub")) is None:
        raise TokenRefused("sub")
    if not hmac.compare_digest((signed.text("nonce") or "").encode(), nonce.reveal().encode()):
        raise TokenRefused("nonce")
    _check_access_token_hash(signed, access_token)
    return signed.claims


def _check_audience(signed: SignedToken, client_id: str) -> None:
    audiences, party = signed.audiences, signed.text("azp")
    if client_id not in audiences:
        raise TokenRefused("audience")
    if party != client_id and (party is not None or len(audiences) > 1):
        raise TokenRefused("azp")


def _check_access_token_hash(signed: SignedToken, access_token: Secret) -> None:
    """`at_hash` is optional in the code flow; one that is there must be right (OIDC Core section 3.1.3.6)."""
    if "at_hash" not in signed.claims:
        return
    algorithm = str(signed.header["alg"])
    # Ed25519 signs with SHA-512 inside; the others name their hash.
    bits = "512" if algorithm in ("EdDSA", "Ed25519") else algorithm[-3:]
    digest = hashlib.new(f"sha{bits}", access_token.reveal().encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not hmac.compare_digest((signed.text("at_hash") or "").encode(), half):
        raise TokenRefused("at_hash")

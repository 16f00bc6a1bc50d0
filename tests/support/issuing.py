"""Values around an imaginary identity provider: its settings, keys, tokens and a linking at it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from tokenstore.core.model import Attempt, Endpoints, Identity, Provider, ProviderId, ProviderKind, Purpose
from tokenstore.core.secret import Secret

ISSUER = "https://idp.example/realms/one"
CLIENT_ID = "the-store"
NONCE = "n-0S6_WzA2Mj-0S6_WzA2Mj"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # with CHALLENGE from RFC 7636 appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ACCESS_TOKEN = "an-access-token"

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp"})


def make_provider(**changes: Any) -> Provider:
    """An OpenID provider with everything configured by hand, changed as asked."""
    provider = Provider(
        id=ProviderId("idp"),
        kind=ProviderKind.OIDC,
        client_id=CLIENT_ID,
        redirect_uri="https://store.example/api/v1.0/idp/redirect_uri",
        issuer=ISSUER,
        endpoints=Endpoints(authorize=f"{ISSUER}/auth", token=f"{ISSUER}/token", jwks=f"{ISSUER}/jwks"),
        client_secret=Secret("the secret/of: us"),
        scopes=("openid", "email", "offline_access"),
        terminal_errors=frozenset({"invalid_grant", "bad_refresh_token"}),
    )
    return replace(provider, **changes)


def make_attempt(provider: Provider | None = None) -> Attempt:
    """A linking under way at that provider."""
    provider = provider or make_provider()
    return Attempt(
        state=Secret("the-state"),
        nonce=Secret(NONCE),
        code_verifier=Secret(VERIFIER),
        purpose=Purpose.LINK,
        provider_id=provider.id,
        user=Identity("https://login.example", "alice"),
        session_key="session",
        return_url="/",
        scopes=provider.scopes,
        redirect_uri=provider.redirect_uri,
        expires_at=NOW + timedelta(minutes=10),
    )


def public_keys(*keys: Key) -> dict[str, Any]:
    """The JWK set of these keys as a provider publishes it."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def id_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good ID token, changed as asked; None leaves one out."""
    now = int(NOW.timestamp())
    claims = {
        "iss": ISSUER,
        "sub": "248289761001",
        "aud": CLIENT_ID,
        "exp": now + 300,
        "iat": now - 5,
        "nonce": NONCE,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def access_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good access token for our API, changed as asked; None leaves one out."""
    claims = {
        **id_claims(nonce=None),
        "aud": ["the-store", "other"],
        "client_id": "notebook",
        "scope": "openid",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def sign(claims: Mapping[str, Any], key: Key = RSA, **header: Any) -> Secret:
    """A signed token; the algorithm fits the key unless the header names one, None leaves a member out."""
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519", "oct": "HS256"}[key.key_type]
    members = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
    members = {name: value for name, value in members.items() if value is not None}
    return Secret(jwt.encode(members, dict(claims), key, algorithms=[str(members["alg"])], default_type=None))


def sign_raw(header: object, payload: object, key: RSAKey = RSA) -> Secret:
    """A token of any header and payload (bytes are taken as they are), signed with RS256 whatever the header says."""
    signing_input = f"{_segment(header)}.{_segment(payload)}"
    private = key.private_key
    if private is None:
        raise ValueError("a public key signs nothing")
    signature = private.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
    return Secret(f"{signing_input}.{_segment(signature)}")


def sign_with_public_key(claims: Mapping[str, Any], key: RSAKey = RSA) -> Secret:
    """HS256 with the public key's PEM text as the secret: the classic confusion of RS256 with HS256."""
    signing_input = f"{_segment({'alg': 'HS256', 'kid': key.kid, 'typ': 'JWT'})}.{_segment(dict(claims))}"
    signature = hmac.digest(key.as_pem(private=False), signing_input.encode(), "sha256")
    return Secret(f"{signing_input}.{_segment(signature)}")


def _segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

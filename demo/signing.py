"""The signing keys of a provider and the JWTs made with them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"


class SigningKeys:
    """RSA keys made when first needed: the newest signs, all of them are published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: list[RSAKey] = []

    def current(self) -> RSAKey:
        """The private key that signs now; tests forge with it."""
        with self._lock:
            if not self._keys:
                self._keys.append(_new_key())
            return self._keys[-1]

    def rotate(self, *, keep_old: bool = True) -> RSAKey:
        """Sign with a new key from now on; the old ones stay published if they are to be kept."""
        with self._lock:
            self._keys = [*(self._keys if keep_old else ()), _new_key()]
            return self._keys[-1]

    def public(self) -> dict[str, Any]:
        """The JWK set (RFC 7517 section 5) without any private part."""
        self.current()
        with self._lock:
            return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def key_set(self) -> KeySet:
        """The keys that signatures of this provider verify with."""
        return KeySet.import_key_set(self.public())  # type: ignore[arg-type]  # it wants its own TypedDict

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A compact JWT of these claims, signed with the current key."""
        key = self.current()
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": typ}, dict(claims), key, [ALGORITHM])


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": ALGORITHM})

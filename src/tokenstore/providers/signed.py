"""Signed tokens (RFC 7515, RFC 7519): the checks that ID tokens and access tokens share.

Owns signature, algorithm, issuer and times. Which further claims matter is for `idtoken` and `accesstoken`.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode
from typing_extensions import override

from tokenstore.core.secret import Secret
from tokenstore.providers.jwks import ALGORITHM_KEYS, KeySource
from tokenstore.providers.strict_json import BadJson, parse_object

MAX_TOKEN: Final = 8 * 1024
LEEWAY: Final = timedelta(seconds=60)
"""How far a provider's clock may differ from ours."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}")
_MAX_KEYS_TRIED = 3


class TokenRefused(Exception):
    """A signed token is not accepted. `reason` is one of our own words, fit for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignedToken:
    """Header and claims whose signature was verified; nothing else was."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def check_issuer(self, issuer: str) -> None:
        """`iss` is exactly this string (RFC 9207 section 2.4 gives the reason); raises TokenRefused."""
        if self.claims.get("iss") != issuer:
            raise TokenRefused("issuer")

    def check_times(self, now: datetime, *, expires: bool = True) -> None:
        """`exp` is there (unless `expires` is False) and lies ahead; `nbf` and `iat`, if there, do not.

        Raises TokenRefused.
        """
        at, slack = now.timestamp(), LEEWAY.total_seconds()
        if expires and self.instant("exp", required=True) + slack <= at:
            raise TokenRefused("expired")
        if self.instant("nbf") - slack > at or self.instant("iat") - slack > at:
            raise TokenRefused("not-yet-valid")

    @property
    def audiences(self) -> frozenset[str]:
        """`aud` as a set; raises TokenRefused if it is neither a text nor a list of texts."""
        value = self.claims.get("aud")
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise TokenRefused("audience")
        return frozenset(values)

    def text(self, name: str) -> str | None:
        """A claim that is a text if it is there; raises TokenRefused if it is something else."""
        value = self.claims.get(name)
        if value is not None and not isinstance(value, str):
            raise TokenRefused(name)
        return value

    def instant(self, name: str, *, required: bool = False) -> float:
        """A claim that is a time, in epoch seconds; the far past if it is not there and need not be.

        Raises TokenRefused.
        """
        value = self.claims.get(name)
        if value is None and not required:
            return -math.inf
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
            raise TokenRefused(name)
        return value


def verify_signature(token: Secret, keys: KeySource, algorithms: Collection[str]) -> SignedToken:
    """Read a compact JWS and verify it with keys that we looked up ourselves.

    The algorithm must be among `algorithms` and asymmetric. Members of the header that carry or point to keys are
    never followed, and any `crit` is refused since we know no extension (RFC 7515 section 4.1.11). Raises
    TokenRefused, or what `keys` raises.
    """
    text = token.reveal()
    if len(text) > MAX_TOKEN or not _COMPACT.fullmatch(text):
        raise TokenRefused("form")
    header = _segment(text, 0)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in ALGORITHM_KEYS:
        raise TokenRefused("algorithm")
    if "crit" in header or "b64" in header:
        raise TokenRefused("crit")
    if key_id is not None and not isinstance(key_id, str):
        raise TokenRefused("key")
    found = keys.find(algorithm, key_id)[:_MAX_KEYS_TRIED]
    if not found:
        raise TokenRefused("key")
    if not any(_is_signed_by(text, key, algorithm) for key in found):
        raise TokenRefused("signature")
    return SignedToken(header, _segment(text, 1))


class _Registry(jws.JWSRegistry):
    """joserfc's rules, for tokens of at most MAX_TOKEN and members that we ignore as RFC 7515 section 4 wants it."""

    max_header_length = MAX_TOKEN
    max_signature_length = MAX_TOKEN

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    @override
    def get_alg(self, name: str) -> Any:
        # As the parent, without its warning that RFC 9864 renames EdDSA: providers do not sign otherwise yet.
        if self.allowed is None or name not in self.allowed:
            raise TokenRefused("algorithm")
        return self.algorithms[name]


def _is_signed_by(text: str, key: Key, algorithm: str) -> bool:
    try:
        jws.deserialize_compact(text, key, registry=_Registry(algorithm))
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _segment(text: str, position: int) -> dict[str, Any]:
    try:
        return parse_object(urlsafe_b64decode(text.split(".")[position].encode()))
    except (BadJson, binascii.Error, ValueError):
        raise TokenRefused("form") from None

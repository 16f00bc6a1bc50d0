"""Callers with an access token of the login provider (RFC 6750, RFC 9068, RFC 7662)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from flask import request

from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials
from tokenstore.identity.user import Authenticated, scopes_of, user_from_claims
from tokenstore.providers.accesstoken import authorized_party
from tokenstore.providers.fields import subject_text

REMEMBER_SECONDS = 30.0
"""How long a verified token is taken as verified; never past its own end."""

REMEMBER_MOST = 4096

Verify = Callable[[Secret], Mapping[str, Any]]
"""Checks an access token and returns its claims; raises BadCredentials."""


class BearerScheme:
    """`Authorization: Bearer`. Verified claims are remembered for 30 s under the token's digest, never the token."""

    def __init__(
        self,
        verify: Verify,
        role_claims: tuple[str, ...],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verify = verify
        self._role_claims = role_claims
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, tuple[float, Authenticated]] = OrderedDict()

    def authenticate(self) -> Authenticated | None:
        """The caller of the current request; None without an `Authorization` header. Raises BadCredentials."""
        header = request.environ.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise BadCredentials("Send an access token of the login provider as 'Authorization: Bearer …'.")
        return self._authenticate(token.strip())

    def known(self, header: str) -> Authenticated | None:
        """The caller of an `Authorization` header whose token was verified a moment ago; None: ask `authenticate`."""
        scheme, _, token = header.partition(" ")
        return self._known(_key(token.strip())) if scheme.lower() == "bearer" else None

    def _known(self, key: bytes) -> Authenticated | None:
        with self._lock:
            found = self._verified.get(key)
        return found[1] if found is not None and found[0] > self._monotonic() else None

    def _authenticate(self, token: str) -> Authenticated:
        key = _key(token)
        if (known := self._known(key)) is not None:
            return known
        claims = self._verify(Secret(token))
        authenticated = Authenticated(caller_from_claims(claims), user_from_claims(claims, self._role_claims))
        ends = claims.get("exp")  # introspection need not say
        good_for = REMEMBER_SECONDS if ends is None else min(REMEMBER_SECONDS, float(ends) - self._clock())
        with self._lock:
            self._verified[key] = (self._monotonic() + good_for, authenticated)
            self._verified.move_to_end(key)
            while len(self._verified) > REMEMBER_MOST:
                self._verified.popitem(last=False)
        return authenticated


def caller_from_claims(claims: Mapping[str, Any]) -> Caller:
    """The caller of a verified access token, its client being the one that OIDC_AUTHORIZED_PARTIES is compared with.

    Raises BadCredentials if subject or issuer is no printable text of at most 255 characters.
    """
    issuer, subject = (_name(claims.get(name)) for name in ("iss", "sub"))
    if issuer is None or subject is None:
        raise BadCredentials("The access token does not say whose it is.")
    return Caller(
        CallerKind.BEARER,
        Identity(issuer, subject),
        client=_name(authorized_party(claims)),
        scopes=frozenset(scopes_of(claims)),
    )


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _name(value: object) -> str | None:
    """A text that every database takes; None for anything else."""
    return subject_text(value) if isinstance(value, str) else None

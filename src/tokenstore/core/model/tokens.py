"""What a token endpoint returned, and which token is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tokenstore.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Asked:
    """The variant a caller wants: scope, audience and resources; empty = whatever the link holds.

    Audience is the `audience` parameter of the wire; resources are RFC 8707 URIs.
    """

    scopes: frozenset[str] = frozenset()
    audience: str | None = None
    resources: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the link's plain token is wanted."""
        return not (self.scopes or self.audience or self.resources)

    @property
    def variant(self) -> str:
        """Key of the variant: SHA-256 hex of the canonical form; `default` when nothing was asked."""
        if self.nothing:
            return "default"
        canonical = json.dumps([sorted(self.scopes), self.audience, sorted(set(self.resources))])
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What a token endpoint returned, read and checked (RFC 6749 section 5.1).

    Lifetimes count from the moment of sending the request and already carry the safety allowance; None = not
    said. `scopes` None = as requested. `extra` holds the kept fields. `others` are the tokens for further resource
    servers that came along, by the server's name; they have no refresh token of their own here.
    """

    access_token: Secret
    expires_in: timedelta | None = None
    refresh_token: Secret | None = None
    refresh_expires_in: timedelta | None = None
    refresh_never_expires: bool = False
    scopes: frozenset[str] | None = None
    id_token: Secret | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    others: Mapping[str, TokenSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token in hand. `expires_at` None: the provider did not say."""

    value: Secret
    scopes: frozenset[str]
    issued_at: datetime
    expires_at: datetime | None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def lifetime(self) -> timedelta | None:
        """How long it was good for when it was issued; None if the provider did not say."""
        return None if self.expires_at is None else self.expires_at - self.issued_at

    def left(self, now: datetime) -> timedelta | None:
        """Time until its end, negative after it; None if the provider did not say."""
        return None if self.expires_at is None else self.expires_at - now

    def fresh_for(self, margin: timedelta, now: datetime) -> bool:
        """Whether it is known to outlive now + margin. An unknown end counts as fresh: it is served until refused."""
        left = self.left(now)
        return left is None or left >= margin

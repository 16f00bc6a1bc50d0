"""Who is asking and who logged in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person at the login provider; e-mail and name never identify (OIDC Core section 5.7)."""

    issuer: str
    subject: str


class CallerKind(StrEnum):
    """How a caller proved who it is."""

    SESSION = "session"
    BEARER = "bearer"
    BASIC = "basic"
    API_KEY = "apikey-v1"
    KEEPER = "keeper"
    """Nobody: the store's own background work, which has no credentials and never comes with a request."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a person's session, or a program with credentials of the person's.

    `client` is the bearer token's `azp`/`client_id`; `session_key` is an opaque id of the browser session (never
    the cookie's value), present for sessions only; `address` is the client's network address for the audit.
    """

    kind: CallerKind
    identity: Identity
    client: str | None = None
    scopes: frozenset[str] = frozenset()
    session_key: str | None = None
    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """Where a person is logged in: one browser, from its login to `ends_at` at the latest. `agent`: its looks."""

    id: UUID
    agent: str | None
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """What a logout token says (OIDC Back-Channel Logout 1.0 section 2.4): whose logins end; all of them without `sid`.

    `id` is the token's `jti`; at least one of `subject` and `sid` is there.
    """

    issuer: str
    id: str
    subject: str | None
    sid: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the login provider says of a user, kept for display and for the account policy."""

    identity: Identity
    name: str | None = None
    email: str | None = None
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: network address, and its name in the log."""

    address: str | None
    request_id: str | None

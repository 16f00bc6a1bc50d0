"""A link, the right to refresh it, and what is handed out from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID

from tokenstore.core.model.people import UserId
from tokenstore.core.model.providers import ProviderId
from tokenstore.core.model.tokens import AccessToken
from tokenstore.core.secret import Secret

LinkId = NewType("LinkId", UUID)


class LinkState(StrEnum):
    """Stored state of a link (refresh protocol section 2)."""

    ACTIVE = "active"
    SUSPECT = "suspect"
    BROKEN = "broken"
    REVOKED = "revoked"


class Doubt(StrEnum):
    """Why a link's refresh token may have been spent without our having its successor (refresh protocol section 8)."""

    INTERRUPTED = "interrupted"
    """Whoever refreshed the link last did not come to an end."""
    UNANSWERED = "unanswered"
    """A request was sent and its answer not received."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account at the provider: identified by (issuer, subject), the rest is for display."""

    issuer: str
    subject: str
    name: str | None = None
    email: str | None = None
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """One user's connection to one account at one provider, without its secrets."""

    id: LinkId
    user_id: UserId
    provider_id: ProviderId
    client_id: str
    account: Account
    is_default: bool
    label: str | None
    state: LinkState
    version: int
    has_refresh_token: bool
    scopes_requested: frozenset[str]
    scopes_granted: frozenset[str]
    linked_at: datetime
    fail_count: int = 0
    lease_until: datetime | None = None
    next_try_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    last_refresh_at: datetime | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    doubt: Doubt | None = None

    def refreshable_by(self, client_id: str) -> bool:
        """Whether it holds a refresh token that was given to this client and not refused since."""
        alive = self.state in {LinkState.ACTIVE, LinkState.SUSPECT}
        return alive and self.has_refresh_token and self.client_id == client_id


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chooses about a link. `label`: None leaves it, empty removes it; `default`: it becomes that."""

    label: str | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """One consistent read of a link and one variant's access token, at the database's `now`."""

    link: Link
    token: AccessToken | None
    now: datetime

    @property
    def link_id(self) -> LinkId:
        """Of the link."""
        return self.link.id

    @property
    def provider_id(self) -> ProviderId:
        """Of the link's provider."""
        return self.link.provider_id


@dataclass(frozen=True, slots=True)
class Cached:
    """What a hand-out from the cache needs, and no more of the link, at the database's `now`."""

    link_id: LinkId
    provider_id: ProviderId
    token: AccessToken
    now: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to spend a link's refresh token until its `lease_until` (database clock). `version` is the fence."""

    link: Link
    owner: str
    version: int
    refresh_token: Secret
    previous_token: Secret | None


@dataclass(frozen=True, slots=True)
class HandOut:
    """An access token as a caller gets it. `expires_in` counts from `now`; `cached`: no provider call was made."""

    link_id: LinkId
    token: AccessToken
    expires_in: timedelta | None
    cached: bool

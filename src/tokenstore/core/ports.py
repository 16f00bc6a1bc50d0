"""What the services need from the outside, one small protocol each; adapters live in `store` and `providers`.

Every store method is one short statement or transaction on its own connection: nothing stays open between two
calls, so none is open while a provider is called. Instants in the database come from the database's clock. Stores
seal what they write and open what they read: a Secret that crosses a port is plaintext inside the process only.
Any store method raises StorageUnavailable when the database cannot be used, and KeyUnavailable when a sealed value
cannot be opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from tokenstore.core.model import (
    AccessToken,
    Account,
    Asked,
    Attempt,
    AuditEvent,
    Holding,
    Identity,
    Lease,
    Link,
    LinkId,
    Outcome,
    Profile,
    Provider,
    ProviderId,
    RevocationResult,
    TokenSet,
    UserId,
)
from tokenstore.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Standing:
    """A link with what can be said of its plain access token without opening it, at the database's `now`."""

    link: Link
    has_access_token: bool
    access_expires_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a refresh ended without a token. `retry_in` None: no back-off (the next caller may try at once)."""

    reason: str
    retry_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NewLink:
    """What a completed linking stores. `elapsed` is the time since the token request was sent."""

    user: Profile
    provider: Provider
    account: Account
    tokens: TokenSet
    scopes_requested: frozenset[str]
    elapsed: timedelta


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A link that was unlinked, and the outbox row that holds its refresh token, if there was one to revoke."""

    link: Link
    outbox_id: UUID | None


@dataclass(frozen=True, slots=True)
class PendingRevocation:
    """A claimed outbox row: a token to be revoked at its provider."""

    id: UUID
    provider_id: ProviderId
    client_id: str
    token: Secret
    attempts: int


class UserStore(Protocol):
    """People who logged in or linked."""

    def remember(self, profile: Profile) -> UserId:
        """Insert or update the user of this identity; returns its id. Concurrent calls end with one row."""

    def profile(self, identity: Identity) -> Profile | None:
        """The stored profile, None if unknown or disabled."""


class LinkStore(Protocol):
    """Links with their sealed refresh tokens, access tokens, lease and fence."""

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        """The link (the default one unless `link_id`) and the variant's access token in one indexed read.

        None when the user has no such link (or the user is disabled); revoked links do not exist here.
        """

    def standings(self, user: Identity) -> Sequence[Standing]:
        """All links of a user that are not revoked, the default one first per provider, then by age."""

    def take_lease(self, link: Link, owner: str, length: timedelta) -> Lease | None:
        """Compare-and-set on the version, committed at once. None: moved, leased, backing off, broken or revoked.

        If the sealed refresh token cannot be opened the lease is given back and KeyUnavailable raised.
        """

    def renew_lease(self, lease: Lease, length: timedelta) -> bool:
        """Prolong a lease that is still ours; False when it is not (the holder must stop)."""

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        """Give the lease back, recording the failure; does nothing if the lease is no longer ours."""

    def save_refreshed(
        self,
        lease: Lease,
        provider: Provider,
        tokens: TokenSet,
        asked: Asked,
        elapsed: timedelta,
        event: AuditEvent,
    ) -> AccessToken | None:
        """The fenced write: link, access token and audit row in one transaction. None: the fence was missed.

        The owner is not checked, only the version: if the lease lapsed and nobody changed the row, this token is the
        newest there is. No refresh token in `tokens`: the stored one is kept. Heals suspect and broken links.
        """

    def save_rotation(self, lease: Lease, provider: Provider, refresh_token: Secret) -> bool:
        """Keep a new refresh token that came in an otherwise useless answer; fenced like `save_refreshed`.

        The link's access tokens stay as they are and the lease is given back. False: the fence was missed.
        """

    def settle_superseded(self, lease: Lease, tokens: TokenSet) -> None:
        """After a missed fence: unlinked, what was received is queued for revocation; else kept as previous token."""

    def break_link(self, lease: Lease, reason: str, event: AuditEvent) -> bool:
        """Mark the link broken if the version has not moved; False when it has."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        """Store a completed linking; the same account again updates its row (version + 1, active)."""

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the user's links (one by id, or all at a provider) in one transaction and queue their tokens.

        The audit row of each link is `event` with that link's provider and id. Empty when there is nothing of the
        user's to unlink. A deleted default passes to the oldest link left.
        """


class AttemptStore(Protocol):
    """Attempts, sealed, each taken once."""

    def save(self, attempt: Attempt) -> None:
        """Keep an attempt until `expires_at`; at most five stay open per browser session (the oldest goes)."""

    def take(self, state: str) -> Attempt | None:
        """Remove and return the attempt of this state; None if unknown or taken. Fifty parallel takers: one gets it.

        An expired attempt is removed and returned with `expires_at` in the past of `now()`.
        """

    def now(self) -> datetime:
        """The database's clock, by which attempts expire."""


class AuditLog(Protocol):
    """Lifecycle events that belong to no other transaction."""

    def record(self, event: AuditEvent) -> None:
        """Write one audit row."""


class Outbox(Protocol):
    """Work owed to providers: tokens to be revoked."""

    def queue_revocation(self, provider: Provider, user: Identity, token: Secret) -> UUID:
        """Queue a token that belongs to no stored link (a linking that failed after the exchange)."""

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """Take the row for this long; None if it is gone, taken or not due."""

    def done(self, outbox_id: UUID) -> None:
        """Forget a finished row."""

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        """Count the attempt and try again later."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Who the provider says the account is, with the verified claims it rests on."""

    account: Account
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallbackIssuer:
    """What `iss` in a callback must be (RFC 9207). `required`: the provider advertised that it sends it."""

    expected: str | None
    required: bool


class ProviderClient(Protocol):
    """The only door to providers. No method holds a database connection; each has a total deadline.

    Methods that need the provider's metadata raise ProviderUnavailable when it cannot be had and ProviderMisconfigured
    when it is not acceptable (wrong issuer, foreign endpoint).
    """

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, PKCE S256). `hints`: `prompt`, `login_hint`."""

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:
        """What the callback's `iss` is compared with."""

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
        """Redeem an authorization code once (RFC 6749 section 4.1.3). Never retried: codes are single use."""

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account: verified ID token, else userinfo, else the token response. Raises LinkDenied if none."""

    def refresh(self, provider: Provider, refresh_token: Secret, asked: Asked, granted: frozenset[str]) -> Outcome:
        """One POST to the refresh endpoint (RFC 6749 section 6); the caller decides about retries."""

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One RFC 7009 call: CONFIRMED, UNSUPPORTED (no endpoint) or FAILED. Does not raise for provider faults."""

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes (OIDC RP-Initiated Logout 1.0), None if not offered or not reachable."""

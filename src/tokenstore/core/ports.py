"""What the services need from the outside, one small protocol each; adapters live in `store` and `providers`.

Every store method is one short statement or transaction on its own connection: nothing stays open between two
calls, so none is open while a provider is called. Instants in the database come from the database's clock. Stores
seal what they write and open what they read: a Secret that crosses a port is plaintext inside the process only.
Any store method raises StorageUnavailable when the database cannot be used, and KeyUnavailable when a sealed value
cannot be opened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from tokenstore.core.lessons import Fact
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
    Login,
    LogoutNotice,
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
    """Why a refresh ended without a token, and after which time the next may be tried.

    `counts`: whether it is one more failure in a row of the link.
    """

    reason: str
    retry_in: timedelta
    counts: bool = True


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
class Waiting:
    """A completed linking that waits for the person's word. `elapsed` is the time since the token request was sent.

    `link_id`: the link that was to be renewed, if one was named. Where the browser goes then: as in the attempt.
    """

    id: UUID
    user: Identity
    provider_id: ProviderId
    client_id: str
    account: Account
    tokens: TokenSet
    scopes_requested: frozenset[str]
    elapsed: timedelta
    return_url: str
    reports: bool
    link_id: LinkId | None


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


class LoginStore(Protocol):
    """Where people are logged in. A login is over when its browser says so, when somebody ends it, or with time."""

    def begin(self, user: Identity, sid: str | None, agent: str | None) -> UUID:
        """Keep a new login of a known user; `sid`: the login provider's name of it. Raises PolicyDenied if disabled."""

    def holder(self, login_id: UUID) -> Identity | None:
        """Whose login this is, counted as seen now; None if it is over or the user is disabled."""

    def logins(self, user: Identity) -> Sequence[Login]:
        """The logins of a user that are not over, the one seen last first."""

    def end(self, user: Identity, login_id: UUID | None, event: AuditEvent) -> int:
        """End one login of the user, or all; how many there were. An event is written if there were any."""

    def end_by_notice(self, notice: LogoutNotice, keep: timedelta, event: AuditEvent) -> int | None:
        """End what the notice names; how many there were. None: this notice came before, within the time `keep`."""


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

    def save_rotation(self, lease: Lease, provider: Provider, refresh_token: Secret, failure: Failure) -> bool:
        """Keep a new refresh token that came in an otherwise useless answer; fenced like `save_refreshed`.

        The link's access tokens stay as they are, the lease is given back and the failure recorded. False: the fence
        was missed.
        """

    def settle_superseded(self, lease: Lease, tokens: TokenSet) -> UUID | None:
        """After a missed fence: find a place for what was received.

        Unlinked, or linked again with another client: it is queued for revocation and the outbox row returned. Else
        the refresh token is kept as the previous one, unless it is the current one: then our own write moved the link.
        """

    def break_link(self, lease: Lease, reason: str, event: AuditEvent) -> bool:
        """Mark the link broken; False if it has moved or somebody else has taken the lease meanwhile."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        """Store a completed linking; the same account again updates its row (active).

        Version + 1, unless no refresh token came and the stored one goes on: then a refresh under way goes on, too.
        What is still owed for the same grant is dropped where revoking a token ends the grant. An account that other
        users have linked is audited at all of them.
        """

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the user's links (one by id, or all at a provider) in one transaction and queue their tokens.

        The audit row of each link is `event` with that link's provider and id. Empty when there is nothing of the
        user's to unlink. A deleted default passes to the oldest link left.
        """

    def name(self, user: Identity, link_id: LinkId, label: str | None, event: AuditEvent) -> Link | None:
        """Set or remove the label of a link; `event` is written, with its provider and id, if that changes it.

        None: the user has no such link. A link that is unlinked and linked again keeps its label.
        """

    def make_default(self, user: Identity, link_id: LinkId, event: AuditEvent) -> Link | None:
        """Make a link the default one at its provider, in place of another; `event` and None as for `name`."""


class AttemptStore(Protocol):
    """Attempts, sealed, each taken once."""

    def save(self, attempt: Attempt) -> None:
        """Keep an attempt until `expires_at`; the oldest of more than five open ones goes.

        They are counted per browser session; those begun by programs per user and provider.
        """

    def take(self, state: str) -> Attempt | None:
        """Remove and return the attempt of this state; None if unknown or taken. Fifty parallel takers: one gets it.

        An expired attempt is removed and returned with `expires_at` in the past of `now()`.
        """

    def now(self) -> datetime:
        """The database's clock, by which attempts expire."""


class WaitingStore(Protocol):
    """Tokens that wait for a person's word, sealed, each taken once."""

    def save(self, waiting: Waiting, session_key: str, patience: timedelta) -> None:
        """Keep it for this browser session and this long. Raises PolicyDenied for an unknown or disabled user."""

    def find(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """What waits there for this user in this session; None also when its time is over."""

    def take(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """Remove and return it. Parallel takers: one gets it."""

    def take_stale(self, user: Identity | None = None, provider_id: ProviderId | None = None) -> Sequence[Waiting]:
        """Remove and return some of what is too old, and what waits for this user at this provider if one is named.

        What cannot be opened is removed and not returned.
        """


class AuditLog(Protocol):
    """Lifecycle events that belong to no other transaction."""

    def record(self, event: AuditEvent) -> None:
        """Write one audit row."""


class Outbox(Protocol):
    """Work owed to providers: tokens to be revoked."""

    def queue_revocation(
        self, provider: Provider, user: Identity, token: Secret, account: Account | None = None
    ) -> UUID | None:
        """Queue a token that belongs to no stored link (a linking that failed after the exchange).

        None, nothing queued: revoking a token ends the grant at this provider, and a link that is not revoked may
        rest on it, be it anybody's link to this account or, with the account unknown, any of the user's.
        """

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """Take the row for this long; None if it is gone, taken or not due."""

    def done(self, outbox_id: UUID) -> None:
        """Forget a finished row."""

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        """Count the attempt and try again later."""


class ProviderFacts(Protocol):
    """What was learned of providers' ways."""

    def learn(self, provider_id: ProviderId, facts: Collection[Fact]) -> None:
        """Keep what is new; costs nothing for what this process has kept before. Never raises."""


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

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        """One POST to the refresh endpoint (RFC 6749 section 6); the caller decides about retries.

        Tokens that show another subject or issuer than `account` are Refused as ACCOUNT_CHANGED.
        """

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One RFC 7009 call: CONFIRMED, UNSUPPORTED (no endpoint) or FAILED. Does not raise for provider faults."""

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes (OIDC RP-Initiated Logout 1.0), None if not offered or not reachable."""

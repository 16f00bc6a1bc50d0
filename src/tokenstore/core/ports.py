"""What the services need from the outside, one small protocol each; adapters live in `store` and `providers`.

Every store method is one short statement or transaction on its own connection: nothing stays open between two
calls, so none is open while a provider is called. Instants in the database come from the database's clock. Stores
seal what they write and open what they read: a Secret that crosses a port is plaintext inside the process only.
Any store method raises StorageUnavailable when the database cannot be used, and KeyUnavailable when a sealed value
cannot be opened.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from tokenstore.core.due import Due
from tokenstore.core.lessons import Fact
from tokenstore.core.model import (
    NO_RESPECT,
    AccessToken,
    Account,
    Asked,
    Attempt,
    AuditEvent,
    Cached,
    Chosen,
    Doubt,
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
    Respect,
    RevocationResult,
    TokenSet,
    UserId,
)
from tokenstore.core.refusals import MassRefusal, Refusal, Verdict
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

    `counts`: whether it is one more failure in a row of the link; `doubt`: whether its token may have been spent.
    """

    reason: str
    retry_in: timedelta
    counts: bool = True
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """A link as the database has it, be it revoked, whose it is, and its refresh token if it has one."""

    link: Link
    owner: Identity
    refresh_token: Secret | None


@dataclass(frozen=True, slots=True)
class NewLink:
    """What a completed linking stores. `sent`: the monotonic second at which the token request was sent.

    `waiting_id`: as what it waited for the person's word, if it did.
    """

    user: Profile
    provider: Provider
    account: Account
    tokens: TokenSet
    scopes_requested: frozenset[str]
    sent: float
    waiting_id: UUID | None = None

    @property
    def elapsed(self) -> timedelta:
        """Time since the token request was sent, until now: storing may have to wait."""
        return timedelta(seconds=time.monotonic() - self.sent)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A completed linking that waits for the person's word. `sent`: as in NewLink, in this process.

    `link_id`: the link that was to be renewed, if one was named. Where the browser goes then: as in the attempt.
    `over`: the person's time is over, so that it can only be given up.
    """

    id: UUID
    user: Identity
    provider_id: ProviderId
    client_id: str
    account: Account
    tokens: TokenSet
    scopes_requested: frozenset[str]
    sent: float
    return_url: str
    reports: bool
    link_id: LinkId | None
    over: bool = False

    @property
    def elapsed(self) -> timedelta:
        """Time since the token request was sent, until now."""
        return timedelta(seconds=time.monotonic() - self.sent)


@dataclass(frozen=True, slots=True)
class Debt:
    """An outbox row, and the provider to which its token is owed for revocation."""

    id: UUID
    provider_id: ProviderId


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A link that was unlinked, and what is owed for its refresh token, if there was one to revoke.

    `lost`: there was one, and it could not be opened.
    """

    link: Link
    debt: Debt | None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Swapped:
    """A link that took the place of others."""

    link: Link
    removed: Sequence[Unlinked]


class OnlyOneAccount(Exception):
    """The user has linked another account at a provider where only one may be linked."""


class NotWaiting(Exception):
    """What waited for the person's word was answered or given up meanwhile, or its time is over."""


@dataclass(frozen=True, slots=True)
class PendingRevocation:
    """A claimed outbox row: a token to be revoked at its provider."""

    id: UUID
    provider_id: ProviderId
    client_id: str
    token: Secret
    attempts: int


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """How many tokens are still to be revoked, and how long the oldest has been."""

    entries: int
    oldest: timedelta


class Perished(StrEnum):
    """What is kept for a while and then removed."""

    ATTEMPTS = "attempts"
    LOGINS = "logins"
    NOTICES = "logout-notices"
    SESSIONS = "sessions"
    TOMBSTONES = "unlinked"
    BROKEN = "broken-refresh-tokens"
    PREVIOUS = "previous-refresh-tokens"
    ACCESS = "access-tokens"


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

    def cached(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Cached | None:
        """The variant's access token alone, whatever its age: what `read` finds, by a read that costs less.

        None when `read` finds no link or no token.
        """

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        """The link (the default one unless `link_id`) and the variant's access token in one indexed read.

        None when the user has no such link (or the user is disabled); revoked links do not exist here.
        """

    def standings(self, user: Identity) -> Sequence[Standing]:
        """All links of a user that are not revoked, the default one first per provider, then by age."""

    def take_lease(self, link: Link, owner: str, length: timedelta, respect: Respect = NO_RESPECT) -> Lease | None:
        """Compare-and-set on the version, committed at once. None: moved, leased, backing off, broken or revoked, or
        its provider is in quarantine and no probe is due.

        `owner` is the node's name, a slash, and a name of this flight; `respect` is for the lease of another node.
        Whoever takes over a lease that was not given back finds the link in doubt. If the sealed refresh token cannot
        be opened the lease is given back and KeyUnavailable raised.
        """

    def renew_lease(self, lease: Lease, length: timedelta, doubt: Doubt | None = None) -> bool:
        """Prolong a lease that is still ours; False when it is not (the holder must stop).

        `doubt`: what is known by now of the token that was sent under it.
        """

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
        newest there is. No refresh token in `tokens`: the stored one is kept. A replaced one is kept for as long as the
        provider may still take it, `elapsed` after its use. Heals suspect and broken links.
        """

    def save_rotation(
        self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta, failure: Failure
    ) -> bool:
        """Keep a new refresh token that came in an otherwise useless answer; fenced like `save_refreshed`.

        The link's access tokens stay as they are, the lease is given back and the failure recorded. False: the fence
        was missed.
        """

    def settle_superseded(self, held: Link, provider: Provider, tokens: TokenSet) -> UUID | None:
        """After a missed fence: find a place for what was received for the link as it was then.

        Unlinked, or linked again with another client: it is queued for revocation and the outbox row returned; so is a
        refresh token where the link was linked again and revoking ends one token alone. Else the refresh token is kept
        as the previous one, unless it is the current one: then our own write moved the link. A link that is gone: it
        is queued, unless that could end the grant of another link to the account.
        """

    def refuse(self, lease: Lease, refusal: Refusal, rule: MassRefusal, event: AuditEvent) -> Verdict | None:
        """Note a provider's refusal of a leased link and give the lease back, in one transaction.

        The first makes the link suspect, the next, or a final one, broken. Where the rule says that the provider
        refuses too many, it goes into quarantine: then links are at most suspect, and those that broke within the
        rule's window are so again. A previous token is erased: it was refused, too. `event` is written as
        `link.suspect` or `link.broken`, with `link.lost` and `provider.quarantined` besides where that is so.

        None: the link has moved or somebody else has taken the lease meanwhile.
        """

    def base(self, link_id: LinkId) -> Base | None:
        """The link as it is now, revoked or not; None if there is none. Raises KeyUnavailable."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        """Store a completed linking; the same account again updates its row (active).

        Version + 1, unless no refresh token came and the stored one goes on: then a refresh under way goes on, too.
        What is still owed for the same grant is dropped where revoking a token ends the grant. An account that other
        users have linked is audited at all of them. What waited, waits no more. Raises OnlyOneAccount and NotWaiting;
        nothing is stored then, and what waits goes on waiting.
        """

    def swap(self, new: NewLink, replaced: Collection[LinkId], event: AuditEvent) -> Swapped:
        """`attach` and `unlink` of the user's `replaced` links at the provider, in one transaction.

        Where only one account may be linked, all others are replaced, named or not. If the default one is among them,
        that part goes to the new link. Besides `event` there is one like it for that (`link.default`), and one for each
        link that is gone (`link.removed`, reason `replaced`).
        """

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        """Revoke the user's links (one by id, or all at a provider) in one transaction and queue their tokens.

        The audit row of each link is `event` with that link's provider and id. Empty when there is nothing of the
        user's to unlink. A deleted default passes to the oldest link left.
        """

    def choose(
        self, user: Identity, link_id: LinkId, chosen: Chosen, named: AuditEvent, default: AuditEvent
    ) -> Link | None:
        """Name a link and make it the default one at its provider in place of another, in one transaction.

        The event of what this changes is written with the link's provider and id. None: the user has no such link. A
        link that is unlinked and linked again keeps its label.
        """


class QuarantineStore(Protocol):
    """Providers that refused too many links at once. Links are tried one by one there, until an operator ends it."""

    def quarantined(self) -> Mapping[ProviderId, datetime]:
        """Which providers are in quarantine, and since when."""

    def next_probe(self, provider_id: ProviderId) -> timedelta | None:
        """How long no link of this provider is tried, not below zero; None: it is not in quarantine."""

    def lift(self, provider_id: ProviderId, event: AuditEvent, *, believe: bool = False) -> bool:
        """End it: what was refused before does not count any more, and suspect links are tried again within minutes.

        Those are broken when they are refused again; others that are refused may begin another quarantine. `believe`:
        none that was last refreshed, or first linked, before now begins another. False: it is not in quarantine.
        """


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
    """Tokens that wait for a person's word, sealed. `LinkStore.attach` and `swap` make links of them."""

    def save(self, waiting: Waiting, session_key: str, patience: timedelta, event: AuditEvent) -> None:
        """Keep it for this browser session and this long, and write `event` in the same transaction.

        Raises PolicyDenied for an unknown or disabled user.
        """

    def find(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """What waits there for this user in this session; `over` until somebody gives it up."""

    def give_up(self, waiting_id: UUID, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt] | None:
        """Remove it, queue its token for revocation and write `event` for its user, in one transaction.

        What is owed then, none or one; None: it is gone already. `apart` are the providers where revoking a token ends
        that token alone. Nothing is queued that a link may rest on, as in `Outbox.queue_revocation`.
        What cannot be opened is removed and logged.
        """

    def give_up_before(self, waiting: Waiting, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        """The same with all else that waits for its user at its provider."""

    def give_up_stale(self, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        """The same with some of what is too old, whosever it is."""


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
        rest on it, be it anybody's link to this account or, with the account unknown, any of the user's. Or it ends
        that token alone, and a link of the user's has this very token.
        """

    def hold(self, provider: Provider, user: Identity, length: timedelta) -> timedelta | None:
        """Let nobody begin for so long to revoke what this user owes to the provider.

        None: none of it is being revoked. Else how long the longest claim goes on; what is claimed is not held yet.
        """

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        """Take the row for this long; None if it is gone, taken or not due."""

    def claim_due(
        self, limit: int, length: timedelta, apart: Collection[ProviderId] = ()
    ) -> Sequence[PendingRevocation]:
        """Take up to so many rows that are due, those that waited longest first, none of the providers in `apart`.

        What another claims at the same moment is passed over, and a row that cannot be opened is put off.
        """

    def give_up(self, limit: int, event: AuditEvent) -> int:
        """Drop rows that were tried for too long, each with `event` about its user, provider and link; how many."""

    def depth(self) -> OutboxDepth:
        """What is owed at present."""

    def exchange(self, outbox_id: UUID, token: Secret, length: timedelta) -> None:
        """Owe this token in place of a claimed row's, which was spent for it, and prolong the claim."""

    def is_shared(self, outbox_id: UUID) -> bool:
        """Whether ending the whole grant of the row's token could end what goes on.

        Of a link's token: a link to the same account, of the same provider and client and of whatever user, is not
        revoked. Of one that no link was made of: something of the user's waits there for their word. False: it is gone.
        """

    def done(self, outbox_id: UUID) -> None:
        """Forget a finished row."""

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        """Count the attempt and try again later."""


class DueLinks(Protocol):
    """Links that the keeper looks after. What it takes it gives back, refreshed or with a new time."""

    def take_due(self, provider: Provider, owner: str, limit: int, respect: Respect = NO_RESPECT) -> Sequence[Due]:
        """Lease up to `limit` links of the provider that are due, those that waited longest first.

        `owner` and `respect` as for `LinkStore.take_lease`. What another claims at the same moment is passed
        over, and so are links of disabled users; a provider in quarantine has none. A link that cannot be opened is
        given back and put off.
        """

    def bring_forward(self, provider: Provider, limit: int) -> int:
        """Let up to `limit` links become due in time that the provider would forget unused; how many became so.

        Theirs is a time of before its `refresh_idle` was known or as short. None where nothing is forgotten.
        """

    def reschedule(self, lease: Lease, due_in: timedelta | None) -> None:
        """Give a lease back unused; None: due no more until somebody asks. Nothing if the lease is no longer ours."""


class UsedLinks(Protocol):
    """When links were last used."""

    def used(self, link_ids: Collection[LinkId], at_least: timedelta) -> int:
        """Note as used now those that were not within `at_least`; how many. One that is being written is left out."""


class Perishables(Protocol):
    """What has had its time."""

    def purge(self, what: Perished, limit: int) -> int:
        """Remove up to so many; how many there were. What another is at is left to it."""


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

        Tokens that show another subject than `account` are Refused as ACCOUNT_CHANGED, and handed on in it. Those of
        the same subject by another issuer are Misconfigured as ISSUER_CHANGED; their refresh token is handed on in it.
        """

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        """One RFC 7009 call: CONFIRMED, UNSUPPORTED (no endpoint) or FAILED. Does not raise for provider faults."""

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        """Where RP-initiated logout goes (OIDC RP-Initiated Logout 1.0), None if not offered or not reachable."""

"""In-memory stand-ins for the store ports, for tests of the services: one `FakeDatabase` behind all of them.

They keep the same promises as the SQL stores (the suites in `tests/conformance` run on both), with a clock that
tests set. `FakeDatabase.down` makes every method raise StorageUnavailable.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

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
    LinkState,
    Profile,
    Provider,
    ProviderId,
    Respect,
    RotationKind,
    TokenSet,
    UserId,
)
from tokenstore.core.ports import (
    Base,
    Debt,
    Failure,
    NewLink,
    NotWaiting,
    OnlyOneAccount,
    OutboxDepth,
    PendingRevocation,
    Standing,
    Swapped,
    Unlinked,
    Waiting,
)
from tokenstore.core.refusals import PROBE_EVERY, MassRefusal, Refusal, Verdict
from tokenstore.core.revocation import being_revoked
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, PolicyDenied, StorageUnavailable
from tokenstore.store.access_tokens import MOST_VARIANTS
from tokenstore.store.attempts import MOST_OPEN
from tokenstore.store.outbox import GIVE_UP_AFTER
from tokenstore.store.saving import LONGEST_GRACE, QUARANTINE_PAUSE


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self.now = now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


@dataclass(slots=True)
class UserRow:
    """What the database knows of a user."""

    id: UserId
    profile: Profile
    disabled: bool = False


@dataclass(slots=True)
class LinkRow:
    """A link with its secrets. `unopenable`: as if the vault had lost the key of this row.

    `let_go_at`: when a token of it was queued for revocation last, since it was unlinked.
    """

    link: Link
    refresh_token: Secret | None
    grant_version: int = 1
    lease_owner: str | None = None
    previous_token: Secret | None = None
    previous_until: datetime | None = None
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    unopenable: bool = False
    let_go_at: datetime | None = None

    def previous_at(self, now: datetime) -> Secret | None:
        """The previous refresh token while it may live."""
        return self.previous_token if self.previous_until and self.previous_until > now else None


@dataclass(slots=True)
class OutboxRow:
    """A token that is to be revoked."""

    pending: PendingRevocation
    link_id: LinkId | None
    user_id: UserId | None
    stray: bool
    next_try_at: datetime
    give_up_at: datetime
    lease_until: datetime | None = None

    def claimed_at(self, now: datetime) -> bool:
        """Whether somebody is at it."""
        return self.lease_until is not None and self.lease_until >= now


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A provider in quarantine."""

    since: datetime
    probe_at: datetime


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh that was granted, or the first refusal of a link."""

    at: datetime
    link: Link
    granted: bool


@dataclass(slots=True)
class FakeDatabase:
    """All that the fakes keep. Tests may look at it and change it between calls."""

    clock: FakeClock = field(default_factory=FakeClock)
    down: bool = False
    users: dict[Identity, UserRow] = field(default_factory=dict)
    links: dict[LinkId, LinkRow] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    events: list[AuditEvent] = field(default_factory=list)
    outbox: dict[UUID, OutboxRow] = field(default_factory=dict)
    waiting: dict[UUID, WaitingRow] = field(default_factory=dict)
    facts: set[tuple[ProviderId, Fact]] = field(default_factory=set)
    quarantines: dict[ProviderId, Quarantined] = field(default_factory=dict)
    given_up_before: dict[ProviderId, datetime] = field(default_factory=dict)
    refreshes: list[Refresh] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def transaction(self) -> Iterator[datetime]:
        """Alone with the data, at the database's now."""
        with self.lock:
            if self.down:
                raise StorageUnavailable("The database cannot be used at present.")
            yield self.clock.now

    def remember(self, profile: Profile) -> UserRow:
        row = self.users.get(profile.identity)
        if row is None:
            row = self.users[profile.identity] = UserRow(UserId(uuid4()), profile)
        known = row.profile
        row.profile = Profile(
            profile.identity,
            profile.name or known.name,
            profile.email,
            profile.email_verified and profile.email is not None,
        )
        return row

    def is_disabled(self, user_id: UserId) -> bool:
        return any(user.disabled for user in self.users.values() if user.id == user_id)

    def links_of(self, user: Identity) -> list[LinkRow]:
        """The links that the user may know of."""
        owner = self.users.get(user)
        if owner is None or owner.disabled:
            return []
        return [
            row
            for row in self.links.values()
            if row.link.user_id == owner.id and row.link.state is not LinkState.REVOKED
        ]

    def owner(self, link: Link) -> Identity:
        """Whose link it is."""
        return next(identity for identity, user in self.users.items() if user.id == link.user_id)

    def queue(
        self, provider_id: ProviderId, client_id: str, token: Secret, link_id: LinkId | None, user_id: UserId | None
    ) -> UUID:
        outbox_id = uuid4()
        pending = PendingRevocation(outbox_id, provider_id, client_id, token, 0)
        now = self.clock.now
        self.outbox[outbox_id] = OutboxRow(pending, link_id, user_id, link_id is None, now, now + GIVE_UP_AFTER)
        return outbox_id

    def note(self, event: AuditEvent) -> None:
        """Write an event."""
        self.events.append(event)

    def refuses_too_many(self, now: Link, since: datetime, rule: MassRefusal) -> bool:
        """Whether this refusal makes a mass refusal of those at the link's provider since then."""
        lately = [one for one in self.refreshes if one.link.provider_id == now.provider_id and one.at > since]
        grants = [place for place, one in enumerate(lately, 1) if one.granted]
        in_a_row = lately[grants[-1] if grants else 0 :]
        return rule.applies(self._people(now, lately), len(grants)) or rule.applies(self._people(now, in_a_row), 0)

    def _people(self, now: Link, refreshes: Sequence[Refresh]) -> int:
        """How many were refused, by this refusal, too."""
        refused = {one.link.user_id for one in refreshes if not one.granted and not self.is_given_up(one.link)}
        return len(refused | {now.user_id})

    def is_given_up(self, link: Link) -> bool:
        """Whether the provider is to be believed if it refuses this link."""
        before = self.given_up_before.get(link.provider_id)
        return before is not None and max(link.linked_at, link.last_refresh_at or link.linked_at) <= before

    def may_be_tried(self, provider_id: ProviderId) -> bool:
        """Whether the provider is not in quarantine, or a probe is due, which this one is then."""
        found = self.quarantines.get(provider_id)
        if found is None:
            return True
        if found.probe_at > self.clock.now:
            return False
        self.quarantines[provider_id] = replace(found, probe_at=self.clock.now + PROBE_EVERY)
        return True

    def quarantine(self, provider_id: ProviderId, rule: MassRefusal) -> None:
        """Put the provider into quarantine; what broke lately is suspect again."""
        now = self.clock.now
        self.quarantines[provider_id] = Quarantined(now, now + PROBE_EVERY)
        refused = {one.link.id for one in self.refreshes if not one.granted and not self.is_given_up(one.link)}
        for row in self.links.values():
            link = row.link
            lately = link.last_error_at is not None and link.last_error_at > now - rule.window
            revived = link.id in refused and link.state is LinkState.BROKEN and lately and row.refresh_token
            if link.provider_id == provider_id and revived:
                row.link = replace(link, state=LinkState.SUSPECT, next_try_at=now)

    def may_share_grant(
        self, provider_id: ProviderId, client_id: str, user_id: UserId | None, account: Account | None
    ) -> bool:
        """Whether a link that is not revoked may rest on the grant of a token for this account."""
        links = [row.link for row in self.links.values() if row.link.state is not LinkState.REVOKED]
        at_client = [link for link in links if (link.provider_id, link.client_id) == (provider_id, client_id)]
        if account is None:
            return any(link.user_id == user_id for link in at_client)
        key = (account.issuer, account.subject)
        return any((link.account.issuer, link.account.subject) == key for link in at_client)

    def is_held(self, provider_id: ProviderId, client_id: str, user_id: UserId | None, token: Secret) -> bool:
        """Whether a link of the user's at this provider and client has this very token."""
        for row in self.links.values():
            plain = row.tokens.get(Asked().variant)
            living = plain.value if plain and plain.fresh_for(timedelta(milliseconds=1), self.clock.now) else None
            at = (row.link.provider_id, row.link.client_id, row.link.user_id)
            if at == (provider_id, client_id, user_id) and not row.unopenable and token in (row.refresh_token, living):
                return True
        return False

    def owed_of(self, user_id: UserId, link_id: LinkId | None, at: Provider) -> list[OutboxRow]:
        """What is owed for a link and for what the user's failed linkings left there."""
        return [
            row
            for row in self.outbox.values()
            if (row.pending.provider_id, row.pending.client_id) == (at.id, at.client_id)
            and (row.user_id == user_id if row.stray else link_id is not None and row.link_id == link_id)
        ]

    def is_ending(self, new: NewLink, user_id: UserId, link_id: LinkId | None) -> bool:
        """Whether what is being revoked, or was since it came, may have ended the grant of what no link is made of."""
        gone = [row for row in self.of_account(new.provider, new.account) if row.link.state is LinkState.REVOKED]
        came = self.sent(new)
        ended = any(row.let_go_at is not None and row.let_go_at > came for row in gone)
        theirs = [row for row in self.outbox.values() if row.link_id in {one.link.id for one in gone}]
        claimed = [*theirs, *self.owed_of(user_id, link_id, new.provider)]
        return ended or any(row.claimed_at(self.clock.now) for row in claimed)

    def sent(self, new: NewLink) -> datetime:
        """When the tokens were asked for, in whole seconds: this clock stands still while a test runs."""
        return self.clock.now - timedelta(seconds=new.elapsed // timedelta(seconds=1))

    def of_account(self, at: Provider, account: Account) -> list[LinkRow]:
        """The links to an account with this client, revoked ones, too."""
        return [
            row for row in self.links.values() if _is_at(row.link, at, account) and row.link.client_id == at.client_id
        ]


class FakeUserStore:
    """UserStore in memory."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def remember(self, profile: Profile) -> UserId:
        with self._db.transaction():
            return self._db.remember(profile).id

    def profile(self, identity: Identity) -> Profile | None:
        with self._db.transaction():
            row = self._db.users.get(identity)
            return None if row is None or row.disabled else row.profile


class FakeLinkStore:
    """LinkStore in memory."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def cached(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Cached | None:
        holding = self.read(user, provider_id, link_id, variant)
        if holding is None or holding.token is None:
            return None
        return Cached(holding.link_id, provider_id, holding.token, holding.now)

    def read(self, user: Identity, provider_id: ProviderId, link_id: LinkId | None, variant: str) -> Holding | None:
        with self._db.transaction() as now:
            for row in self._db.links_of(user):
                wanted = row.link.is_default if link_id is None else row.link.id == link_id
                if wanted and row.link.provider_id == provider_id:
                    token = row.tokens.get(variant)
                    if token is not None:
                        _open(row)
                    return Holding(row.link, token, now)
            return None

    def standings(self, user: Identity) -> Sequence[Standing]:
        with self._db.transaction() as now:
            rows = sorted(
                self._db.links_of(user),
                key=lambda row: (row.link.provider_id, not row.link.is_default, row.link.linked_at, row.link.id),
            )
            plain = [(row.link, row.tokens.get(Asked().variant)) for row in rows]
            return [
                Standing(link, token is not None, token.expires_at if token else None, now) for link, token in plain
            ]

    def take_lease(self, link: Link, owner: str, length: timedelta, respect: Respect = NO_RESPECT) -> Lease | None:
        with self._db.transaction() as now:
            row = self._db.links.get(link.id)
            if row is None or row.link.version != link.version or row.refresh_token is None:
                return None
            at = row.link
            if at.state not in {LinkState.ACTIVE, LinkState.SUSPECT} or self._db.is_disabled(at.user_id):
                return None
            if row.lease_owner is not None and row.lease_owner.startswith(owner.partition("/")[0] + "/"):
                respect = NO_RESPECT
            early = respect.but_first if at.doubt is None else respect.but_in_doubt
            if at.lease_until is not None and (
                at.lease_until >= now or now - respect.length <= at.lease_until <= now - early
            ):
                return None
            if at.next_try_at is not None and at.next_try_at > now:
                return None
            _open(row)
            if not self._db.may_be_tried(at.provider_id):
                return None
            doubt = at.doubt if row.lease_owner is None else Doubt.INTERRUPTED
            row.link, row.lease_owner = replace(at, lease_until=now + length, doubt=doubt), owner
            return Lease(row.link, owner, at.version, row.refresh_token, row.previous_at(now))

    def renew_lease(self, lease: Lease, length: timedelta, doubt: Doubt | None = None) -> bool:
        with self._db.transaction() as now:
            row = self._held(lease)
            if row is None or self._db.is_disabled(row.link.user_id):
                return False
            row.link = replace(row.link, lease_until=now + length, doubt=doubt or row.link.doubt)
            return True

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        with self._db.transaction() as now:
            row = self._held(lease)
            if row is None:
                return
            row.lease_owner, row.link = None, replace(row.link, lease_until=None)
            if failure is not None:
                row.link = _failed(row.link, failure, now)

    def save_refreshed(
        self,
        lease: Lease,
        provider: Provider,
        tokens: TokenSet,
        asked: Asked,
        elapsed: timedelta,
        event: AuditEvent,
    ) -> AccessToken | None:
        with self._db.transaction() as now:
            row = self._fenced(lease)
            if row is None:
                return None
            issued = now - elapsed
            if tokens.refresh_token is not None:
                self._rotate(row, lease, provider, tokens.refresh_token, issued)
            self._advance(row)
            granted = tokens.scopes if asked.nothing and tokens.scopes is not None else row.link.scopes_granted
            row.link = replace(
                row.link,
                next_try_at=None,
                last_error=None,
                last_error_at=None,
                fail_count=0,
                doubt=None,
                last_refresh_at=now,
                scopes_granted=granted,
                refresh_expires_at=_refresh_end(row.link.refresh_expires_at, tokens, issued),
            )
            scopes = tokens.scopes if tokens.scopes is not None else asked.scopes or row.link.scopes_granted
            token = _access_token(tokens, scopes, issued)
            kept = {} if provider.refresh_ends_access else row.tokens
            row.tokens = _newest({**kept, **_others(tokens, issued), asked.variant: token}, asked.variant)
            self._db.refreshes.append(Refresh(now, row.link, granted=True))
            self._db.events.append(replace(event, provider_id=row.link.provider_id, link_id=row.link.id))
            return token

    def save_rotation(
        self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta, failure: Failure
    ) -> bool:
        with self._db.transaction() as now:
            row = self._fenced(lease)
            if row is None:
                return False
            self._rotate(row, lease, provider, refresh_token, now - elapsed)
            self._advance(row)
            row.link = _failed(replace(row.link, refresh_expires_at=None, doubt=None), failure, now)
            return True

    def settle_superseded(self, held: Link, provider: Provider, tokens: TokenSet) -> UUID | None:
        late = tokens.refresh_token
        owed, at = late or tokens.access_token, (held.provider_id, held.client_id)
        with self._db.transaction() as now:
            row = self._db.links.get(held.id)
            if row is None:
                shared = provider.revokes_grant and self._db.may_share_grant(*at, held.user_id, held.account)
                return None if shared else self._db.queue(*at, owed, None, held.user_id)
            if row.link.state is LinkState.REVOKED:
                row.let_go_at = now
            if row.link.state is LinkState.REVOKED or row.link.client_id != held.client_id:
                return self._db.queue(*at, owed, held.id, held.user_id)
            if late is not None and late != row.refresh_token:
                if not provider.revokes_grant and held.version < row.grant_version:
                    return self._db.queue(*at, late, held.id, held.user_id)
                row.previous_token, row.previous_until = late, now + LONGEST_GRACE
            return None

    def refuse(self, lease: Lease, refusal: Refusal, rule: MassRefusal, event: AuditEvent) -> Verdict | None:
        with self._db.transaction() as now:
            row = self._held(lease)
            if row is None:
                return None
            at = lease.link.provider_id
            first = refusal.final or lease.link.state is not LinkState.SUSPECT
            counts = first and not self._db.is_given_up(lease.link)
            mass = counts and self._db.refuses_too_many(lease.link, now - rule.window, rule)
            believed = not mass and at not in self._db.quarantines
            broken = believed and (refusal.final or lease.link.state is LinkState.SUSPECT)
            retry_in = refusal.retry_in if believed else QUARANTINE_PAUSE
            row.lease_owner = row.previous_token = row.previous_until = None
            row.link = replace(
                row.link,
                state=LinkState.BROKEN if broken else LinkState.SUSPECT,
                lease_until=None,
                next_try_at=None if broken else now + retry_in,
                last_error=refusal.code,
                last_error_at=now,
                doubt=refusal.doubt or lease.link.doubt,
            )
            if first:
                self._db.refreshes.append(Refresh(now, lease.link, granted=False))
            noted = replace(event, reason=refusal.code, provider_id=at, link_id=lease.link.id)
            self._db.note(replace(noted, action="link.broken" if broken else "link.suspect"))
            if broken and row.link.doubt is not None:
                self._db.note(replace(noted, action="link.lost", reason=row.link.doubt))
            quarantined = mass and at not in self._db.quarantines
            if quarantined:
                self._db.quarantine(at, rule)
                self._db.note(replace(noted, action="provider.quarantined", link_id=None, user=None))
            return Verdict(row.link.state, retry_in, quarantined)

    def base(self, link_id: LinkId) -> Base | None:
        with self._db.transaction():
            row = self._db.links.get(link_id)
            if row is None:
                return None
            _open(row)
            return Base(row.link, self._db.owner(row.link), row.refresh_token)

    def swap(self, new: NewLink, replaced: Collection[LinkId], event: AuditEvent) -> Swapped:
        removal = replace(event, action="link.removed", reason="replaced")
        with self._db.transaction() as now:
            rows = [
                row
                for row in sorted(
                    self._db.links_of(new.user.identity), key=lambda row: (row.link.linked_at, row.link.id)
                )
                if row.link.provider_id == new.provider.id
                and not _is_at(row.link, new.provider, new.account)
                and (row.link.id in replaced or not new.provider.multi_account)
            ]
            self._end_waiting(new, now, keep=True)
            had_default = any(row.link.is_default for row in rows)
            removed = [self._unlink(row, removal, now) for row in rows]
            link = self.attach(new, event)
            if had_default:
                passed_on = replace(event, action="link.default", provider_id=new.provider.id, link_id=link.id)
                self._db.events.append(passed_on)
            return Swapped(link, removed)

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        with self._db.transaction() as now:
            user_id = (self._db.users.get(new.user.identity) or self._db.remember(new.user)).id
            at_provider = [
                row
                for row in self._db.links.values()
                if row.link.user_id == user_id and row.link.provider_id == new.provider.id
            ]
            key = (new.account.issuer, new.account.subject)
            row = next((r for r in at_provider if (r.link.account.issuer, r.link.account.subject) == key), None)
            has_default = any(r.link.is_default for r in at_provider)
            is_new = row is None or row.link.state is LinkState.REVOKED
            others = any(r.link.state is not LinkState.REVOKED for r in at_provider)
            if is_new and others and not new.provider.multi_account:
                raise OnlyOneAccount
            link_id = row.link.id if row else None
            unlinked = row is not None and row.let_go_at is not None and row.let_go_at > self._db.sent(new)
            ending = unlinked or (is_new and self._db.is_ending(new, user_id, link_id))
            if new.provider.revokes_grant and ending:
                raise being_revoked()
            received = (new.tokens.refresh_token, new.tokens.access_token)
            owed = self._db.owed_of(user_id, link_id, new.provider)
            if not new.provider.revokes_grant:
                owed = [one for one in owed if one.pending.token in received]
                if any(one.claimed_at(now) for one in owed):
                    raise being_revoked()
            for one in owed:
                del self._db.outbox[one.pending.id]
            self._end_waiting(new, now)
            shared = self._shared(user_id, new) if is_new else []
            if row is None:
                row = LinkRow(_new_link(new, user_id, now), new.tokens.refresh_token)
                self._db.links[row.link.id] = row
            else:
                self._relink(row, new, now)
            granted = new.tokens.scopes if new.tokens.scopes is not None else new.scopes_requested
            issued = self._db.sent(new)
            row.link = replace(
                row.link,
                is_default=row.link.is_default or not has_default,
                has_refresh_token=row.refresh_token is not None,
                scopes_granted=granted,
                refresh_expires_at=_refresh_end(row.link.refresh_expires_at, new.tokens, issued),
            )
            row.tokens = {**_others(new.tokens, issued), Asked().variant: _access_token(new.tokens, granted, issued)}
            self._db.events.append(replace(event, provider_id=new.provider.id, link_id=row.link.id))
            for link in [*shared, *([row.link] if shared else [])]:
                owner = self._db.owner(link)
                self._db.events.append(
                    AuditEvent("link.shared", "success", event.caller, owner, new.provider.id, link.id)
                )
            return row.link

    def _end_waiting(self, new: NewLink, now: datetime, *, keep: bool = False) -> None:
        """What waited, waits no more; `keep`: only see whether it does."""
        if new.waiting_id is None:
            return
        row = self._db.waiting.get(new.waiting_id)
        if row is None or row.expires_at <= now or row.waiting.user != new.user.identity:
            raise NotWaiting
        if not keep:
            del self._db.waiting[new.waiting_id]

    def _shared(self, user_id: UserId, new: NewLink) -> list[Link]:
        """The links of others to the same account."""
        links = [row.link for row in self._db.links.values() if row.link.state is not LinkState.REVOKED]
        return [link for link in links if link.user_id != user_id and _is_at(link, new.provider, new.account)]

    def unlink(
        self, user: Identity, provider_id: ProviderId | None, link_id: LinkId | None, event: AuditEvent
    ) -> Sequence[Unlinked]:
        if provider_id is None and link_id is None:
            raise ValueError("unlink needs a provider or a link")
        with self._db.transaction() as now:
            done = [
                self._unlink(row, event, now)
                for row in sorted(self._db.links_of(user), key=lambda row: (row.link.linked_at, row.link.id))
                if provider_id in {None, row.link.provider_id} and link_id in {None, row.link.id}
            ]
            self._pass_default_on(user)
            return done

    def _unlink(self, row: LinkRow, event: AuditEvent, now: datetime) -> Unlinked:
        link, debt, lost = row.link, None, False
        token = row.refresh_token
        if token is None:
            plain = row.tokens.get(Asked().variant)
            token = plain.value if plain and plain.fresh_for(timedelta(milliseconds=1), now) else None
        if token is not None and row.unopenable:
            lost = True
        elif token is not None:
            outbox_id = self._db.queue(link.provider_id, link.client_id, token, link.id, link.user_id)
            debt = Debt(outbox_id, link.provider_id)
        previous = row.previous_at(now)
        if previous is not None and previous != token:
            self._db.queue(link.provider_id, link.client_id, previous, link.id, link.user_id)
        self._advance(row)
        row.refresh_token = row.previous_token = row.previous_until = None
        row.tokens, row.let_go_at = {}, now
        row.link = replace(
            row.link,
            state=LinkState.REVOKED,
            is_default=False,
            has_refresh_token=False,
            next_try_at=None,
            refresh_expires_at=None,
        )
        self._db.events.append(replace(event, provider_id=link.provider_id, link_id=link.id))
        return Unlinked(row.link, debt, lost)

    def choose(
        self, user: Identity, link_id: LinkId, chosen: Chosen, named: AuditEvent, default: AuditEvent
    ) -> Link | None:
        with self._db.transaction():
            row = self._row_of(user, link_id)
            if row is not None and chosen.label is not None and row.link.label != (chosen.label or None):
                row.link = replace(row.link, label=chosen.label or None)
                self._note(row, named)
            if row is not None and chosen.default and not row.link.is_default:
                for other in self._db.links_of(user):
                    if other.link.provider_id == row.link.provider_id:
                        other.link = replace(other.link, is_default=other is row)
                self._note(row, default)
            return row.link if row else None

    def _row_of(self, user: Identity, link_id: LinkId) -> LinkRow | None:
        return next((row for row in self._db.links_of(user) if row.link.id == link_id), None)

    def _note(self, row: LinkRow, event: AuditEvent) -> None:
        self._db.events.append(replace(event, provider_id=row.link.provider_id, link_id=row.link.id))

    def _pass_default_on(self, user: Identity) -> None:
        left = sorted(self._db.links_of(user), key=lambda row: (row.link.linked_at, row.link.id))
        for provider_id in {row.link.provider_id for row in left}:
            rows = [row for row in left if row.link.provider_id == provider_id]
            if not any(row.link.is_default for row in rows):
                rows[0].link = replace(rows[0].link, is_default=True)

    def _relink(self, row: LinkRow, new: NewLink, now: datetime) -> None:
        old, provider = row.link, new.provider
        refresh_token = new.tokens.refresh_token
        plain = row.tokens.get(Asked().variant) if row.refresh_token is None else None
        spare = plain.value if plain and plain.fresh_for(timedelta(milliseconds=1), now) else None
        owed = row.refresh_token or spare
        goes_on = refresh_token is None and old.refreshable_by(provider.client_id)
        for token in () if provider.revokes_grant or goes_on else (owed, row.previous_at(now)):
            if token is not None and token not in (refresh_token, new.tokens.access_token):
                self._db.queue(old.provider_id, old.client_id, token, old.id, old.user_id)
        if not goes_on:
            row.refresh_token, row.link = refresh_token, replace(old, refresh_expires_at=None)
            self._advance(row)
            row.grant_version = row.link.version
            row.previous_token = row.previous_until = None
        row.link = replace(
            row.link,
            state=LinkState.ACTIVE,
            client_id=provider.client_id,
            account=new.account,
            fail_count=0,
            next_try_at=None,
            last_error=None,
            last_error_at=None,
            scopes_requested=new.scopes_requested,
            linked_at=now if old.state is LinkState.REVOKED else old.linked_at,
        )

    def _held(self, lease: Lease) -> LinkRow | None:
        row = self._fenced(lease)
        return row if row is not None and row.lease_owner == lease.owner else None

    def _fenced(self, lease: Lease) -> LinkRow | None:
        row = self._db.links.get(lease.link.id)
        if row is None or row.link.version != lease.version or row.link.state is LinkState.REVOKED:
            return None
        return row

    @staticmethod
    def _advance(row: LinkRow) -> None:
        row.lease_owner = None
        row.link = replace(row.link, version=row.link.version + 1, state=LinkState.ACTIVE, lease_until=None)

    @staticmethod
    def _rotate(row: LinkRow, lease: Lease, provider: Provider, refresh_token: Secret, used: datetime) -> None:
        row.refresh_token = refresh_token
        row.previous_token = row.previous_until = None
        kind, grace = provider.rotation.kind, provider.rotation.grace
        if kind in {RotationKind.KEEP_OLD, RotationKind.GRACE}:
            keep = min(grace, LONGEST_GRACE) if kind is RotationKind.GRACE else LONGEST_GRACE
            row.previous_token, row.previous_until = lease.refresh_token, used + keep


class FakeAttemptStore:
    """AttemptStore in memory."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def save(self, attempt: Attempt) -> None:
        with self._db.transaction() as now:
            open_ones = [
                state
                for state, other in self._db.attempts.items()
                if _whose(other) == _whose(attempt) and other.expires_at > now
            ]
            for state in open_ones[: max(0, len(open_ones) - MOST_OPEN + 1)]:
                del self._db.attempts[state]
            self._db.attempts[attempt.state.reveal()] = attempt

    def take(self, state: str) -> Attempt | None:
        with self._db.transaction():
            return self._db.attempts.pop(state, None)

    def now(self) -> datetime:
        with self._db.transaction() as now:
            return now


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """What waits for a person, for whom in which session, and from when to when."""

    waiting: Waiting
    session_key: str
    saved_at: datetime
    expires_at: datetime


class FakeWaitingStore:
    """WaitingStore in memory."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def save(self, waiting: Waiting, session_key: str, patience: timedelta, event: AuditEvent) -> None:
        with self._db.transaction() as now:
            if waiting.user not in self._db.users or self._db.users[waiting.user].disabled:
                raise PolicyDenied("This user may not link accounts.")
            self._db.waiting[waiting.id] = WaitingRow(waiting, session_key, now, now + patience)
            self._db.note(event)

    def find(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        with self._db.transaction() as now:
            row = self._db.waiting.get(waiting_id)
            if row is None or (row.waiting.user, row.session_key) != (user, session_key):
                return None
            sent = row.waiting.sent - (now - row.saved_at).total_seconds()
            return replace(row.waiting, sent=sent, over=row.expires_at <= now)

    def give_up(self, waiting_id: UUID, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt] | None:
        with self._db.transaction():
            row = self._db.waiting.pop(waiting_id, None)
            if row is None:
                return None
            waiting = row.waiting
            self._db.events.append(replace(event, user=waiting.user, provider_id=waiting.provider_id))
            user_id = self._db.users[waiting.user].id
            at = (waiting.provider_id, waiting.client_id)
            owed = waiting.tokens.refresh_token or waiting.tokens.access_token
            if waiting.provider_id not in apart and self._db.may_share_grant(*at, user_id, waiting.account):
                return []
            if waiting.provider_id in apart and self._db.is_held(*at, user_id, owed):
                return []
            return [Debt(self._db.queue(*at, owed, None, user_id), waiting.provider_id)]

    def give_up_before(self, waiting: Waiting, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        key = (waiting.user, waiting.provider_id)
        with self._db.transaction():
            others = [row.waiting for row in self._db.waiting.values() if row.waiting.id != waiting.id]
            theirs = [one.id for one in others if (one.user, one.provider_id) == key]
            return [debt for one in theirs for debt in self.give_up(one, apart, event) or ()]

    def give_up_stale(self, apart: Collection[ProviderId], event: AuditEvent) -> Sequence[Debt]:
        with self._db.transaction() as now:
            stale = [row.waiting.id for row in self._db.waiting.values() if row.expires_at <= now]
            return [debt for one in stale for debt in self.give_up(one, apart, event) or ()]


class FakeAuditLog:
    """AuditLog in memory; what was written stands in `FakeDatabase.events`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def record(self, event: AuditEvent) -> None:
        with self._db.transaction():
            self._db.events.append(event)


class FullAuditLog(FakeAuditLog):
    """One that takes no more, while the rest of the database does."""

    def record(self, event: AuditEvent) -> None:
        raise StorageUnavailable(f"no room for {event.action}")


class FakeOutbox:
    """Outbox in memory."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def queue_revocation(
        self, provider: Provider, user: Identity, token: Secret, account: Account | None = None
    ) -> UUID | None:
        with self._db.transaction():
            row = self._db.users.get(user)
            user_id = row.id if row else None
            at = (provider.id, provider.client_id, user_id)
            if provider.revokes_grant and self._db.may_share_grant(*at, account):
                return None
            if not provider.revokes_grant and self._db.is_held(*at, token):
                return None
            return self._db.queue(provider.id, provider.client_id, token, None, user_id)

    def hold(self, provider: Provider, user: Identity, length: timedelta) -> timedelta | None:
        with self._db.transaction() as now:
            owner = self._db.users.get(user)
            claims = []
            for row in self._db.outbox.values():
                at = (row.pending.provider_id, row.pending.client_id)
                if owner is None or row.user_id != owner.id or at != (provider.id, provider.client_id):
                    continue
                if row.lease_until is not None and row.claimed_at(now):
                    claims.append(row.lease_until - now)
                else:
                    row.next_try_at = max(row.next_try_at, now + length)
            return max(claims, default=None)

    def claim(self, outbox_id: UUID, length: timedelta) -> PendingRevocation | None:
        with self._db.transaction() as now:
            row = self._db.outbox.get(outbox_id)
            if row is None or row.next_try_at > now or row.claimed_at(now):
                return None
            row.lease_until = now + length
            return row.pending

    def claim_due(
        self, limit: int, length: timedelta, apart: Collection[ProviderId] = ()
    ) -> Sequence[PendingRevocation]:
        with self._db.transaction():
            rows = sorted(self._db.outbox.values(), key=lambda row: row.next_try_at)
            wanted = [row.pending.id for row in rows if row.pending.provider_id not in apart]
            claims = (self.claim(outbox_id, length) for outbox_id in wanted)
            return list(islice((claim for claim in claims if claim is not None), limit))

    def give_up(self, limit: int, event: AuditEvent) -> int:
        with self._db.transaction() as now:
            over = [row for row in self._db.outbox.values() if row.give_up_at <= now][:limit]
            for row in over:
                del self._db.outbox[row.pending.id]
                users = (identity for identity, user in self._db.users.items() if user.id == row.user_id)
                at, of = row.pending.provider_id, row.link_id
                self._db.note(replace(event, user=next(users, None), provider_id=at, link_id=of))
            return len(over)

    def depth(self) -> OutboxDepth:
        with self._db.transaction() as now:
            ages = [now - (row.give_up_at - GIVE_UP_AFTER) for row in self._db.outbox.values()]
            return OutboxDepth(len(ages), max(ages, default=timedelta()))

    def exchange(self, outbox_id: UUID, token: Secret, length: timedelta) -> None:
        with self._db.transaction() as now:
            row = self._db.outbox.get(outbox_id)
            if row is not None:
                row.pending, row.lease_until = replace(row.pending, token=token), now + length

    def is_shared(self, outbox_id: UUID) -> bool:
        with self._db.transaction() as now:
            row = self._db.outbox.get(outbox_id)
            if row is None:
                return False
            at = (row.pending.provider_id, row.pending.client_id)
            waiting = [one for one in self._db.waiting.values() if one.expires_at > now]
            asked = [(self._db.users[one.waiting.user].id, one.waiting.provider_id) for one in waiting]
            if row.stray:
                return (row.user_id, at[0]) in asked
            held = self._db.links.get(row.link_id) if row.link_id else None
            return held is not None and self._db.may_share_grant(*at, row.user_id, held.link.account)

    def done(self, outbox_id: UUID) -> None:
        with self._db.transaction():
            self._db.outbox.pop(outbox_id, None)

    def postpone(self, outbox_id: UUID, retry_in: timedelta) -> None:
        with self._db.transaction() as now:
            row = self._db.outbox.get(outbox_id)
            if row is not None:
                row.pending = replace(row.pending, attempts=row.pending.attempts + 1)
                row.next_try_at, row.lease_until = now + retry_in, None


class FakeQuarantines:
    """QuarantineStore in memory; its state stands in `FakeDatabase.quarantines`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def quarantined(self) -> Mapping[ProviderId, datetime]:
        with self._db.transaction():
            return {provider_id: found.since for provider_id, found in self._db.quarantines.items()}

    def next_probe(self, provider_id: ProviderId) -> timedelta | None:
        with self._db.transaction() as now:
            found = self._db.quarantines.get(provider_id)
            return None if found is None else max(found.probe_at - now, timedelta())

    def lift(self, provider_id: ProviderId, event: AuditEvent, *, believe: bool = False) -> bool:
        with self._db.transaction() as now:
            if self._db.quarantines.pop(provider_id, None) is None:
                return False
            if believe:
                self._db.given_up_before[provider_id] = now
            self._db.refreshes = [one for one in self._db.refreshes if one.link.provider_id != provider_id]
            for row in self._db.links.values():
                if row.link.provider_id == provider_id and row.link.state is LinkState.SUSPECT:
                    row.link = replace(row.link, next_try_at=now)
            self._db.note(event)
            return True


class FakeProviderFacts:
    """ProviderFacts in memory; what was learned stands in `FakeDatabase.facts`."""

    def __init__(self, database: FakeDatabase) -> None:
        self._db = database

    def learn(self, provider_id: ProviderId, facts: Collection[Fact]) -> None:
        self._db.facts.update((provider_id, fact) for fact in facts)


@dataclass(frozen=True, slots=True)
class FakeStores:
    """Every store over one database."""

    database: FakeDatabase
    users: FakeUserStore
    links: FakeLinkStore
    attempts: FakeAttemptStore
    waiting: FakeWaitingStore
    audit: FakeAuditLog
    outbox: FakeOutbox
    facts: FakeProviderFacts
    quarantines: FakeQuarantines


def fake_stores(clock: FakeClock | None = None) -> FakeStores:
    """A fresh, empty set of fakes."""
    database = FakeDatabase(clock or FakeClock())
    return FakeStores(
        database,
        FakeUserStore(database),
        FakeLinkStore(database),
        FakeAttemptStore(database),
        FakeWaitingStore(database),
        FakeAuditLog(database),
        FakeOutbox(database),
        FakeProviderFacts(database),
        FakeQuarantines(database),
    )


def _open(row: LinkRow) -> None:
    if row.unopenable:
        raise KeyUnavailable("A stored secret cannot be opened.")


def _whose(attempt: Attempt) -> object:
    """What an attempt is counted under."""
    return attempt.session_key or (attempt.user, attempt.provider_id)


def _is_at(link: Link, provider: Provider, account: Account) -> bool:
    key = (link.provider_id, link.account.issuer, link.account.subject)
    return key == (provider.id, account.issuer, account.subject)


def _failed(link: Link, failure: Failure, now: datetime) -> Link:
    return replace(
        link,
        fail_count=link.fail_count + (1 if failure.counts else 0),
        next_try_at=now + failure.retry_in,
        last_error=failure.reason,
        last_error_at=now,
        doubt=failure.doubt or link.doubt,
    )


def _new_link(new: NewLink, user_id: UserId, now: datetime) -> Link:
    return Link(
        id=LinkId(uuid4()),
        user_id=user_id,
        provider_id=new.provider.id,
        client_id=new.provider.client_id,
        account=new.account,
        is_default=False,
        label=None,
        state=LinkState.ACTIVE,
        version=1,
        has_refresh_token=new.tokens.refresh_token is not None,
        scopes_requested=new.scopes_requested,
        scopes_granted=new.scopes_requested,
        linked_at=now,
    )


def _access_token(tokens: TokenSet, scopes: frozenset[str], issued: datetime) -> AccessToken:
    expires = None if tokens.expires_in is None else issued + tokens.expires_in
    return AccessToken(tokens.access_token, scopes, issued, expires, tokens.extra)


def _others(tokens: TokenSet, issued: datetime) -> dict[str, AccessToken]:
    return {
        Asked(audience=server).variant: _access_token(other, other.scopes or frozenset(), issued)
        for server, other in tokens.others.items()
    }


def _refresh_end(known: datetime | None, tokens: TokenSet, issued: datetime) -> datetime | None:
    """When the refresh token ends: as said; unknown for a new token of which nothing was said."""
    if tokens.refresh_expires_in is not None:
        return issued + tokens.refresh_expires_in
    return None if tokens.refresh_token is not None or tokens.refresh_never_expires else known


def _newest(tokens: dict[str, AccessToken], written: str) -> dict[str, AccessToken]:
    others = sorted((v for v in tokens if v != written), key=lambda v: tokens[v].issued_at, reverse=True)
    return {variant: tokens[variant] for variant in [written, *others[: MOST_VARIANTS - 1]]}

"""One view on the stores, whether in memory or in a database, for the suites that run on all of them.

Besides the ports it can do what only tests need: let time pass, disable a user, spoil a sealed value, look at events
and at what is owed to providers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier
from time import monotonic
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import select, update

from support.fakes import FakeStores
from support.passing import move_back
from support.stores import SqlStores
from tokenstore.core.model import (
    Account,
    Attempt,
    AuditEvent,
    Identity,
    Lease,
    LinkId,
    Profile,
    Provider,
    ProviderId,
    ProviderKind,
    Purpose,
    Rotation,
    TokenSet,
)
from tokenstore.core.ports import (
    AttemptStore,
    AuditLog,
    LinkStore,
    NewLink,
    Outbox,
    QuarantineStore,
    UserStore,
    WaitingStore,
)
from tokenstore.core.refusals import MassRefusal, Refusal
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now
from tokenstore.store.tables import access_token, audit_event, link, outbox, user_account

T = TypeVar("T")

ANN = Profile(Identity("https://login.example", "ann"), "Ann", "ann@example.org", email_verified=True)
BOB = Profile(Identity("https://login.example", "bob"), "Bob")
HOUR = timedelta(hours=1)
ZERO = timedelta()


class Ports(Protocol):
    """The store ports."""

    @property
    def users(self) -> UserStore: ...
    @property
    def links(self) -> LinkStore: ...
    @property
    def attempts(self) -> AttemptStore: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def waiting(self) -> WaitingStore: ...
    @property
    def quarantines(self) -> QuarantineStore: ...


class Harness(Ports, Protocol):
    """The ports, and what tests may do behind their back."""

    def advance(self, by: timedelta) -> None:
        """Let time pass, as the stores see it."""

    def disable(self, identity: Identity) -> None:
        """Disable a user."""

    def spoil(self, link_id: LinkId) -> None:
        """Make what is sealed for the link impossible to open."""

    def events(self) -> Sequence[tuple[str, str | None, UUID | None]]:
        """Action, provider and link of every audit row, in order."""

    def places(self) -> Sequence[tuple[str | None, str | None]]:
        """Address and request id of every audit row, in order."""

    def owed(self) -> Sequence[UUID]:
        """Ids of the outbox rows."""


@dataclass(frozen=True, slots=True)
class FakeHarness:
    """The fakes."""

    stores: FakeStores
    users: UserStore
    links: LinkStore
    attempts: AttemptStore
    audit: AuditLog
    outbox: Outbox
    waiting: WaitingStore
    quarantines: QuarantineStore

    @classmethod
    def over(cls, stores: FakeStores) -> FakeHarness:
        ports = (
            stores.users,
            stores.links,
            stores.attempts,
            stores.audit,
            stores.outbox,
            stores.waiting,
            stores.quarantines,
        )
        return cls(stores, *ports)

    def advance(self, by: timedelta) -> None:
        self.stores.database.clock.advance(by)

    def disable(self, identity: Identity) -> None:
        self.stores.database.users[identity].disabled = True

    def spoil(self, link_id: LinkId) -> None:
        self.stores.database.links[link_id].unopenable = True

    def events(self) -> Sequence[tuple[str, str | None, UUID | None]]:
        return [(event.action, event.provider_id, event.link_id) for event in self.stores.database.events]

    def places(self) -> Sequence[tuple[str | None, str | None]]:
        found = [event.caller or event.origin for event in self.stores.database.events]
        return [(place.address, place.request_id) if place else (None, None) for place in found]

    def owed(self) -> Sequence[UUID]:
        return list(self.stores.database.outbox)


@dataclass(frozen=True, slots=True)
class SqlHarness:
    """The SQL stores. Time passes by moving every instant in the database into the past."""

    stores: SqlStores
    users: UserStore
    links: LinkStore
    attempts: AttemptStore
    audit: AuditLog
    outbox: Outbox
    waiting: WaitingStore
    quarantines: QuarantineStore

    @classmethod
    def over(cls, stores: SqlStores) -> SqlHarness:
        ports = (
            stores.users,
            stores.links,
            stores.attempts,
            stores.audit,
            stores.outbox,
            stores.waiting,
            stores.quarantines,
        )
        return cls(stores, *ports)

    def advance(self, by: timedelta) -> None:
        with self.stores.database.writing() as connection:
            move_back(connection, by)

    def disable(self, identity: Identity) -> None:
        user = user_account.c
        with self.stores.database.writing() as connection:
            found = update(user_account).where(user.issuer == identity.issuer, user.subject == identity.subject)
            connection.execute(found.values(disabled_at=db_now()))

    def spoil(self, link_id: LinkId) -> None:
        with self.stores.database.writing() as connection:
            connection.execute(update(link).where(link.c.id == link_id).values(refresh_sealed=b"TS nonsense"))
            cached = update(access_token).where(access_token.c.link_id == link_id)
            connection.execute(cached.values(sealed=b"TS nonsense"))

    def events(self) -> Sequence[tuple[str, str | None, UUID | None]]:
        event = audit_event.c
        statement = select(event.action, event.provider_id, event.link_id).order_by(event.at)
        with self.stores.database.reading() as connection:
            return [(action, provider, of) for action, provider, of in connection.execute(statement)]

    def places(self) -> Sequence[tuple[str | None, str | None]]:
        event = audit_event.c
        statement = select(event.address, event.request_id).order_by(event.at)
        with self.stores.database.reading() as connection:
            return [(address, request_id) for address, request_id in connection.execute(statement)]

    def owed(self) -> Sequence[UUID]:
        with self.stores.database.reading() as connection:
            return list(connection.scalars(select(outbox.c.id)))


def in_parallel(count: int, work: Callable[[int], T]) -> list[T]:
    """What `work(0)` … `work(count - 1)` return when all start at the same moment."""
    barrier = Barrier(count)

    def at_once(number: int) -> T:
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(at_once, range(count)))


STRICT = Rotation()


def provider(
    provider_id: str = "idp1",
    *,
    client_id: str = "client-1",
    rotation: Rotation = STRICT,
    revokes_grant: bool = True,
    refresh_ends_access: bool = False,
) -> Provider:
    """A provider as settings would make it."""
    return Provider(
        ProviderId(provider_id),
        ProviderKind.OIDC,
        client_id,
        f"https://store.example/api/v1.0/{provider_id}/redirect_uri",
        issuer=f"https://{provider_id}.example",
        rotation=rotation,
        revokes_grant=revokes_grant,
        refresh_ends_access=refresh_ends_access,
    )


def tokens(
    access: str = "access-1",
    refresh: str | None = "refresh-1",
    *,
    expires_in: timedelta | None = HOUR,
    refresh_expires_in: timedelta | None = None,
    scopes: frozenset[str] | None = None,
    extra: dict[str, object] | None = None,
) -> TokenSet:
    """What a token endpoint returned."""
    return TokenSet(
        Secret(access),
        expires_in,
        None if refresh is None else Secret(refresh),
        refresh_expires_in,
        scopes=scopes,
        extra=extra or {},
    )


def account(subject: str = "ann-at-idp", provider_id: str = "idp1") -> Account:
    """An account at a provider."""
    return Account(f"https://{provider_id}.example", subject, "Ann A.", "ann@idp.example", email_verified=True)


def new_link(
    user: Profile = ANN,
    at: Provider | None = None,
    who: Account | None = None,
    received: TokenSet | None = None,
    elapsed: timedelta = ZERO,
) -> NewLink:
    """A completed linking."""
    at = at or provider()
    who = who or account(provider_id=at.id)
    sent = monotonic() - elapsed.total_seconds()
    return NewLink(user, at, who, received or tokens(), frozenset({"openid", "email"}), sent)


def event(action: str = "test.event") -> AuditEvent:
    """An audit event of Ann's."""
    return AuditEvent(action, "success", user=ANN.identity)


def attempt(state: str = "state-1", *, session_key: str | None = "browser-1", at: AttemptStore) -> Attempt:
    """A linking that is good for ten minutes from the store's now."""
    return Attempt(
        state=Secret(state),
        nonce=Secret(f"nonce of {state}"),
        code_verifier=Secret(f"verifier of {state}"),
        purpose=Purpose.LINK,
        provider_id=ProviderId("idp1"),
        user=ANN.identity,
        session_key=session_key,
        return_url="/after?x=1",
        scopes=("openid", "email"),
        redirect_uri="https://store.example/api/v1.0/idp1/redirect_uri",
        expires_at=at.now() + timedelta(minutes=10),
    )


def unknown_link() -> LinkId:
    """The id of no link."""
    return LinkId(uuid4())


def break_link(links: LinkStore, lease: Lease, event: AuditEvent) -> bool:
    """Break a leased link, as a provider's last word does; False if it has moved meanwhile."""
    refusal = Refusal("invalid_grant", ZERO, final=True)
    return links.refuse(lease, refusal, MassRefusal(), event) is not None

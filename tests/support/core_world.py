"""The core services over fakes: one user, one provider, a link in whatever state a test needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from support.fake_gate import FakeGate
from support.fake_provider import FakeProviderClient
from support.fake_spool import FakeSpool
from support.fakes import FakeStores, LinkRow, fake_stores
from support.tallies import Tallies
from tokenstore.core.flight import Flights
from tokenstore.core.model import (
    AccessToken,
    Account,
    Asked,
    AuditEvent,
    Caller,
    CallerKind,
    Holding,
    Identity,
    Link,
    LinkId,
    Profile,
    Provider,
    ProviderId,
    ProviderKind,
    Rotation,
    RotationKind,
    TokenSet,
)
from tokenstore.core.places import Places
from tokenstore.core.policy import Policy
from tokenstore.core.ports import LinkStore, NewLink
from tokenstore.core.refresh import Calling, Errand, Keeping, Recovery, Refresher, Timing
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import TokenFlights, TokenService
from tokenstore.core.usage import AT_LEAST, Usage
from tokenstore.errors import StorageUnavailable

ADA = Identity("https://login.example", "ada")
PROFILE = Profile(ADA, "Ada", "ada@example.org", email_verified=True)
CALLER = Caller(CallerKind.BEARER, ADA)
SCOPES = frozenset({"openid", "email"})
STRICT = Rotation()
GRACE = Rotation(RotationKind.GRACE, timedelta(seconds=60))


def provider(**changes: Any) -> Provider:
    """A strict OIDC provider `idp1`."""
    values: dict[str, Any] = {
        "id": ProviderId("idp1"),
        "kind": ProviderKind.OIDC,
        "client_id": "client-1",
        "redirect_uri": "https://store.example/api/v1.0/idp1/redirect_uri",
        "issuer": "https://idp.example",
        "scopes": ("openid", "email"),
    }
    return Provider(**{**values, **changes})


@dataclass(slots=True)
class FakeTime:
    """Monotonic seconds that pass by sleeping; of two durations the longer is drawn. `meanwhile`: done while asleep."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds
        self.meanwhile()

    @property
    def timing(self) -> Timing:
        """As the refresher wants it."""
        return Timing(lambda: self.now, self.sleep, lambda _least, most: most)


@dataclass(slots=True)
class UsedNotes:
    """The `UsedLinks` port: what was written down, batch by batch. `down`: as if the database could not be used."""

    batches: list[frozenset[LinkId]] = field(default_factory=list)
    down: bool = False

    def used(self, link_ids: Collection[LinkId], at_least: timedelta) -> int:
        assert at_least == AT_LEAST
        if self.down:
            raise StorageUnavailable("The database cannot be used at present.")
        self.batches.append(frozenset(link_ids))
        return len(link_ids)


class World:
    """One store with one user; `links` may be replaced by a wrapper before the services are made."""

    def __init__(self, provider_: Provider | None = None, *, wait_seconds: float = 2.0) -> None:
        self.provider = provider_ or provider()
        self.stores: FakeStores = fake_stores()
        self.client = FakeProviderClient()
        self.time = FakeTime()
        self.links: LinkStore = self.stores.links
        self.wait_seconds = wait_seconds
        self.metrics = Tallies()
        self.used = UsedNotes()
        self.usage = Usage(self.used)
        self.flights: TokenFlights = Flights(self.metrics, Places())
        self.gate = FakeGate()
        self.spool = FakeSpool()

    def link(
        self,
        *,
        seconds: int | None = 3600,
        age: float = 0,
        refresh: str | None = "refresh-1",
        scopes: frozenset[str] = SCOPES,
        subject: str = "a-1",
    ) -> Link:
        """Link an account whose access token of `seconds` was issued `age` seconds ago."""
        tokens = TokenSet(
            Secret("access-1"),
            expires_in=None if seconds is None else timedelta(seconds=seconds),
            refresh_token=Secret(refresh) if refresh else None,
            scopes=scopes,
        )
        account = Account("https://idp.example", subject)
        new = NewLink(PROFILE, self.provider, account, tokens, scopes, monotonic())
        link = self.stores.links.attach(new, AuditEvent("link.created", "success"))
        self.stores.database.clock.advance(timedelta(seconds=age))
        return link

    def row(self, link: Link) -> LinkRow:
        """What the database holds of a link."""
        return self.stores.database.links[link.id]

    def change(self, link: Link, **changes: Any) -> Link:
        """Write columns of a link behind everybody's back."""
        row = self.row(link)
        row.link = replace(row.link, **changes)
        return row.link

    def add_token(self, link: Link, asked: Asked, value: str = "access-v", seconds: int = 3600) -> None:
        """Cache an access token of a variant."""
        self.row(link).tokens[asked.variant] = AccessToken(
            Secret(value), asked.scopes, self.now, self.now + timedelta(seconds=seconds)
        )

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return self.stores.database.clock.now

    def advance(self, seconds: float) -> None:
        """Let time pass in the database."""
        self.stores.database.clock.advance(timedelta(seconds=seconds))

    def holding(self, link: Link, asked: Asked = Asked()) -> Holding:
        """What a read finds."""
        holding = self.stores.links.read(ADA, self.provider.id, link.id, asked.variant)
        assert holding is not None
        return holding

    def errand(self, link: Link, asked: Asked = Asked()) -> Errand:
        """An errand for a token newer than the present one."""
        token = self.holding(link, asked).token
        return Errand(self.provider, CALLER, self.row(link).link, asked, token.issued_at if token else None)

    @property
    def refresher(self) -> Refresher:
        """A refresher whose time passes by sleeping."""
        timing = self.time.timing
        return Refresher(
            self.links,
            self.stores.quarantines,
            Calling(self.client, timing),
            self._keeping,
            self.recovery,
            self.spool,
            self.stores.facts,
            self._revoker,
            self.metrics,
            timing,
            wait_seconds=self.wait_seconds,
        )

    @property
    def recovery(self) -> Recovery:
        """What replays the spool."""
        return Recovery(Registry([self.provider]), self.links, self.spool, self._keeping)

    @property
    def _keeping(self) -> Keeping:
        return Keeping(self.links, self._revoker, self.metrics, self.time.timing)

    @property
    def _revoker(self) -> Revoker:
        return Revoker(Registry([self.provider]), self.stores.outbox, self.client, Places())

    @property
    def tokens(self) -> TokenService:
        """A token service with flights in real threads."""
        return TokenService(
            Registry([self.provider]),
            Policy(),
            self.links,
            self.refresher,
            self.flights,
            self.gate,
            self.usage,
            self.metrics,
            wait_seconds=self.wait_seconds,
        )

    def actions(self) -> Sequence[str]:
        """The audit events so far, by action."""
        return [event.action for event in self.stores.database.events]

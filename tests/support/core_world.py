"""The core services over fakes: one user, one provider, a link in whatever state a test needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from support.fake_provider import FakeProviderClient
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
    Profile,
    Provider,
    ProviderId,
    ProviderKind,
    Rotation,
    RotationKind,
    TokenSet,
)
from tokenstore.core.policy import Policy
from tokenstore.core.ports import LinkStore, NewLink
from tokenstore.core.refresh import Errand, Refresher, Timing
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import TokenFlights, TokenService

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


class World:
    """One store with one user; `links` may be replaced by a wrapper before the services are made."""

    def __init__(self, provider_: Provider | None = None, *, wait_seconds: float = 2.0) -> None:
        self.provider = provider_ or provider()
        self.stores: FakeStores = fake_stores()
        self.client = FakeProviderClient()
        self.time = FakeTime()
        self.links: LinkStore = self.stores.links
        self.wait_seconds = wait_seconds
        self.flights: TokenFlights = Flights(8)
        self.metrics = Tallies()

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
        new = NewLink(PROFILE, self.provider, account, tokens, scopes, timedelta())
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
        return Refresher(
            self.links,
            self.client,
            self.stores.facts,
            Revoker(Registry([self.provider]), self.stores.outbox, self.client),
            self.metrics,
            node="node-1",
            wait_seconds=self.wait_seconds,
            timing=self.time.timing,
        )

    @property
    def tokens(self) -> TokenService:
        """A token service with flights in real threads."""
        return TokenService(
            Registry([self.provider]),
            Policy(),
            self.links,
            self.refresher,
            self.flights,
            self.metrics,
            wait_seconds=self.wait_seconds,
        )

    def actions(self) -> Sequence[str]:
        """The audit events so far, by action."""
        return [event.action for event in self.stores.database.events]

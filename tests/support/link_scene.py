"""One person who links, refreshes and unlinks at a demo provider, with real services and stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from demo.config import Account, Revocation
from demo.person import Person
from demo.server import RunningProvider
from support.core_world import ADA, PROFILE
from support.harness import SqlHarness, event
from support.issuing import make_provider
from support.link_services import LinkServices, link_services
from support.relying_party import CALLBACK, demo_config, query_of
from support.stores import SqlStores, sql_stores
from tokenstore.core.completing import Linked
from tokenstore.core.confirming import Choice, Decided
from tokenstore.core.model import (
    Asked,
    Callback,
    Caller,
    CallerKind,
    Endpoints,
    Granted,
    Lease,
    Link,
    LinkState,
    Provider,
    TokenSet,
)
from tokenstore.core.ports import Waiting
from tokenstore.core.secret import Secret
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport
from tokenstore.store.provider_facts import SqlProviderFacts

SESSION = Caller(CallerKind.SESSION, ADA, session_key="session-1")
LENGTH = timedelta(seconds=20)


@dataclass
class Scene:
    """People with two accounts at one strict provider."""

    server: RunningProvider
    client: HttpProviderClient
    provider: Provider
    stores: SqlStores

    @property
    def services(self) -> LinkServices:
        stores = SqlHarness.over(self.stores)
        return link_services(stores, SqlProviderFacts(self.stores.database), self.client, self.provider)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts at the provider."""
        return self.server.config.accounts

    def come_back(self, account: Account, who: Caller = SESSION) -> Callback:
        """Begin a linking and allow it at the provider; what the browser brings back."""
        location = self.services.linking.begin(who, self.provider.id, "/").location
        query = query_of(Person(account).approve(location))
        return Callback({name: (value,) for name, value in query.items()})

    def complete(self, callback: Callback, who: Caller = SESSION) -> Linked | Waiting:
        return self.services.completing.complete(who, self.provider.id, callback)

    def link(self, account: Account, who: Caller = SESSION) -> Link:
        made = self.complete(self.come_back(account, who), who)
        assert isinstance(made, Linked)
        return made.link

    def ask(self, account: Account) -> Waiting:
        made = self.complete(self.come_back(account))
        assert isinstance(made, Waiting)
        return made

    def decide(self, waiting: Waiting, choice: Choice, instead_of: Link | None = None) -> Decided:
        link_id = instead_of.id if instead_of else None
        return self.services.confirmations.decide(SESSION, waiting.id, choice, link_id)

    def unlink(self, who: Caller = SESSION) -> None:
        self.services.unlinking.unlink(who, provider_id=self.provider.id)

    def links(self) -> list[Link]:
        """The links that there are, the default one first."""
        return [standing.link for standing in self.stores.links.standings(ADA)]

    def refresh(self, name: str) -> None:
        """What a refresh does with each link that there is."""
        for link in self.links():
            lease = self.stores.links.take_lease(link, f"node/{name}", LENGTH)
            if lease is None:
                continue
            outcome = self.client.refresh(self.provider, lease.refresh_token, Asked(), frozenset())
            if not isinstance(outcome, Granted):  # unlinked meanwhile, and revoked before it was spent
                self.stores.links.release_lease(lease, None)
                continue
            self.save(lease, outcome.tokens)

    def save(self, lease: Lease, tokens: TokenSet) -> None:
        """What a refresh does with what it got."""
        spent = (lease, self.provider, tokens, Asked(), timedelta(), event("token.refresh"))
        if self.stores.links.save_refreshed(*spent) is None:
            owed = self.stores.links.settle_superseded(lease.link, self.provider, tokens)
            if owed is not None:
                self.services.revoker.settle(owed)

    def assert_whole(self) -> None:
        """All debts paid, no link is dead and no token forgotten, and one link is the default."""
        for row in SqlHarness.over(self.stores).owed():
            self.services.revoker.settle(row)
        links = self.links()
        assert [link.is_default for link in links] == [True, *[False] * (len(links) - 1)][: len(links)]
        live, kept = set(self.server.state.live_refresh_tokens()), set[str]()
        for link in links:
            assert link.state is LinkState.ACTIVE
            lease = self.stores.links.take_lease(link, "node/after", LENGTH)
            assert lease is not None
            self.stores.links.release_lease(lease, None)
            kept.add(lease.refresh_token.reveal())
        assert live == kept


@contextmanager
def link_scene(database_url: str, revocation: Revocation) -> Iterator[Scene]:
    """A provider that ends so much when a token is revoked, and an empty database."""
    addresses = AddressPolicy()
    transport = Transport(addresses)
    discovery = Discovery(transport, addresses)
    client = HttpProviderClient(transport, discovery, KeySets(transport, discovery))
    with (
        RunningProvider(demo_config(rotation="strict", revocation=revocation)) as server,
        sql_stores(database_url) as stores,
    ):
        ours = server.config.clients[0]
        provider = make_provider(
            client_id=ours.client_id,
            client_secret=Secret(ours.client_secret),
            redirect_uri=CALLBACK,
            issuer=server.issuer,
            discovery_url=server.discovery_url,
            endpoints=Endpoints(),
            scopes=("openid", "email", "profile", "offline_access"),
            revokes_grant=revocation != "token",
        )
        stores.users.remember(PROFILE)
        yield Scene(server, client, provider, stores)
    client.close()

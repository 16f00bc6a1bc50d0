"""Linking, unlinking and refreshing the same accounts at the same time, with a provider that knows its live grants.

Real stores and services in threads, one strict demo provider over HTTP. Whatever order things happen in: links are
alive or gone, one is the default, and every refresh token that lives at the provider is the one of a link.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from demo.config import Account
from demo.person import Person
from demo.server import RunningProvider
from support.core_world import ADA, PROFILE
from support.harness import SqlHarness, event, in_parallel
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
from tokenstore.errors import AttemptExpired, TokenStoreError
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport
from tokenstore.store.provider_facts import SqlProviderFacts

SESSION = Caller(CallerKind.SESSION, ADA, session_key="session-1")
LENGTH = timedelta(seconds=20)
PLAIN = Asked().variant
ROUNDS = 6
TABS = 5
READERS = 20
RELINKINGS = 5


@dataclass
class Scene:
    """One person with two accounts at one provider, where revoking a token ends that token's grant alone."""

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

    def come_back(self, account: Account) -> Callback:
        """Begin a linking and allow it at the provider; what the browser brings back."""
        location = self.services.linking.begin(SESSION, self.provider.id, "/").location
        query = query_of(Person(account).approve(location))
        return Callback({name: (value,) for name, value in query.items()})

    def complete(self, callback: Callback) -> Linked | Waiting:
        return self.services.completing.complete(SESSION, self.provider.id, callback)

    def link(self, account: Account) -> Link:
        made = self.complete(self.come_back(account))
        assert isinstance(made, Linked)
        return made.link

    def ask(self, account: Account) -> Waiting:
        made = self.complete(self.come_back(account))
        assert isinstance(made, Waiting)
        return made

    def decide(self, waiting: Waiting, choice: Choice, instead_of: Link | None = None) -> Decided:
        link_id = instead_of.id if instead_of else None
        return self.services.confirmations.decide(SESSION, waiting.id, choice, link_id)

    def unlink(self) -> None:
        self.services.unlinking.unlink(SESSION, provider_id=self.provider.id)

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


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """A provider and an empty database."""
    addresses = AddressPolicy()
    transport = Transport(addresses)
    discovery = Discovery(transport, addresses)
    client = HttpProviderClient(transport, discovery, KeySets(transport, discovery))
    with (
        RunningProvider(demo_config(rotation="strict", revocation="token")) as server,
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
            revokes_grant=False,
        )
        stores.users.remember(PROFILE)
        yield Scene(server, client, provider, stores)
    client.close()


def rounds(race: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """A test that runs a race a few times; after each all is whole, and then unlinked."""

    def repeated(scene: Scene) -> None:
        for _ in range(ROUNDS):
            race(scene)
            scene.assert_whole()
            scene.unlink()
            scene.assert_whole()

    repeated.__name__ = race.__name__
    return repeated


def at_once(*works: Callable[[], object]) -> list[object]:
    """What these return, or the errors for the person in which they end, when all start at the same moment."""

    def one(number: int) -> object:
        try:
            return works[number]()
        except TokenStoreError as error:
            return error

    return in_parallel(len(works), one)


@rounds
def test_tabs_that_link_one_account_at_once_make_one_link(scene: Scene) -> None:
    callbacks = [scene.come_back(scene.accounts[0]) for _ in range(TABS)]
    made = in_parallel(TABS, lambda number: scene.complete(callbacks[number]))
    assert {one.link.id for one in made if isinstance(one, Linked)} == {link.id for link in scene.links()}
    assert len(scene.links()) == 1


@rounds
def test_tabs_that_link_two_accounts_at_once_where_one_is_allowed_link_one_and_ask(scene: Scene) -> None:
    scene.provider = replace(scene.provider, multi_account=False)
    callbacks = [scene.come_back(account) for account in scene.accounts]
    made = in_parallel(2, lambda number: scene.complete(callbacks[number]))
    assert sorted(type(one).__name__ for one in made) == ["Linked", "Waiting"]
    assert len(scene.links()) == 1

    [waiting] = [one for one in made if isinstance(one, Waiting)]
    scene.services.confirmations.decide(SESSION, waiting.id, Choice.REPLACE)
    assert [link.account.subject for link in scene.links()] == [waiting.account.subject]


@rounds
def test_of_answers_that_are_given_at_once_one_counts(scene: Scene) -> None:
    first, waiting = scene.link(scene.accounts[0]), scene.ask(scene.accounts[1])
    said = at_once(
        lambda: scene.decide(waiting, Choice.ADD),
        lambda: scene.decide(waiting, Choice.REPLACE, first),
        lambda: scene.decide(waiting, Choice.CANCEL),
    )
    assert len([one for one in said if isinstance(one, Decided)]) == 1
    assert len([one for one in said if isinstance(one, AttemptExpired)]) == 2


@rounds
def test_unlinking_while_the_account_is_linked_ends_with_one_or_none(scene: Scene) -> None:
    scene.link(scene.accounts[0])
    callback = scene.come_back(scene.accounts[0])
    made, *_ = at_once(lambda: scene.complete(callback), scene.unlink, lambda: scene.refresh("meanwhile"))
    assert isinstance(made, Linked)
    assert [link.id for link in scene.links()] in ([], [made.link.id])


@rounds
def test_replacing_a_link_that_is_being_refreshed_leaves_the_new_one_alone(scene: Scene) -> None:
    first, waiting = scene.link(scene.accounts[0]), scene.ask(scene.accounts[1])
    decided, _ = at_once(lambda: scene.decide(waiting, Choice.REPLACE, first), lambda: scene.refresh("meanwhile"))
    assert isinstance(decided, Decided)
    assert [link.account.subject for link in scene.links()] == [waiting.account.subject]


@pytest.mark.parametrize("acts", [("link",), ("unlink",), ("unlink", "link"), ("link", "unlink"), ("link", "link")])
def test_what_a_refresh_brings_for_a_link_that_changed_meanwhile_does_not_live_on(
    scene: Scene, acts: Sequence[str]
) -> None:
    link = scene.link(scene.accounts[0])
    lease = scene.stores.links.take_lease(link, "node/slow", LENGTH)
    assert lease is not None
    outcome = scene.client.refresh(scene.provider, lease.refresh_token, Asked(), frozenset())
    assert isinstance(outcome, Granted)
    for act in acts:
        if act == "link":
            scene.link(scene.accounts[0])
        else:
            scene.unlink()
    scene.save(lease, outcome.tokens)
    scene.assert_whole()


def test_unlinking_and_linking_again_under_readers_brings_nothing_back(scene: Scene) -> None:
    account, done = scene.accounts[0], threading.Event()

    def read(number: int) -> None:
        while not done.wait(0.002):
            holding = scene.stores.links.read(ADA, scene.provider.id, None, PLAIN)
            assert holding is None or holding.link.state is not LinkState.REVOKED
            if number % 5 == 0:
                scene.refresh(f"reader-{number}")

    with ThreadPoolExecutor(READERS) as pool:
        reading = [pool.submit(read, number) for number in range(READERS)]
        try:
            for _ in range(RELINKINGS):
                linked = scene.link(account)
                assert [link.id for link in scene.links()] == [linked.id]
                scene.unlink()
                assert scene.links() == []
                assert scene.stores.links.read(ADA, scene.provider.id, linked.id, PLAIN) is None
        finally:
            done.set()
        for one in reading:
            one.result(30)

    assert scene.links() == []
    scene.assert_whole()
    scene.link(account)
    scene.assert_whole()

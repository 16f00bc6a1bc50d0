"""Linking, unlinking and refreshing the same accounts at the same time, with a provider that knows its live grants.

Real stores and services in threads, one strict demo provider over HTTP. Whatever order things happen in: links are
alive or gone, one is the default, and every refresh token that lives at the provider is the one of a link.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from support.core_world import ADA
from support.harness import in_parallel
from support.link_scene import LENGTH, SESSION, Scene, link_scene
from tokenstore.core.completing import Linked
from tokenstore.core.confirming import Choice, Decided
from tokenstore.core.model import Asked, Granted, LinkState
from tokenstore.core.ports import Waiting
from tokenstore.errors import AttemptExpired, TokenStoreError

PLAIN = Asked().variant
ROUNDS = 6
TABS = 5
READERS = 20
RELINKINGS = 5


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """A provider where revoking a token ends that token alone, and an empty database."""
    with link_scene(database_url, "token") as made:
        yield made


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

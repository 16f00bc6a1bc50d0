"""Providers where revoking one token ends all that an account has granted to the client, as many do.

Whatever is revoked: no link that was made, by whomever, ends with it, and none is made of a grant that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.core_world import ADA
from support.harness import BOB, SqlHarness
from support.link_scene import LENGTH, SESSION, Scene, link_scene
from tokenstore.core.confirming import Choice
from tokenstore.core.model import Asked, Caller, CallerKind, Granted, Link, RevocationResult
from tokenstore.errors import LinkDenied, ProviderUnavailable

BOBS = Caller(CallerKind.SESSION, BOB.identity, session_key="session-2")


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """A provider where revoking a token ends all grants of the account, and a database that knows Ada and Bob."""
    with link_scene(database_url, "account") as made:
        made.stores.users.remember(BOB)
        yield made


def live(scene: Scene, link: Link) -> bool:
    """Whether the refresh token of the link is taken by the provider."""
    lease = scene.stores.links.take_lease(link, "node/look", LENGTH)
    assert lease is not None
    scene.stores.links.release_lease(lease, None)
    return lease.refresh_token.reveal() in scene.server.state.live_refresh_tokens()


def pay(scene: Scene, after: timedelta = timedelta(hours=1)) -> list[RevocationResult]:
    """What the keeper gets for all that is owed and due then."""
    stores = SqlHarness.over(scene.stores)
    stores.advance(after)
    results = []
    while (settled := scene.services.revoker.settle_next()) is not None:
        if settled[1] is not None:
            results.append(settled[1])
    return results


def meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have this done once after the next code was redeemed and before what came of it is stored."""
    real, todo = scene.client.identify, [work]

    def identify(*about: Any) -> Any:
        while todo:
            todo.pop()()
        return real(*about)

    monkeypatch.setattr(scene.client, "identify", identify)


def test_an_account_for_which_the_question_came_twice_is_linked_alive(scene: Scene) -> None:
    scene.link(scene.accounts[0])
    scene.ask(scene.accounts[1])
    decided = scene.decide(scene.ask(scene.accounts[1]), Choice.ADD)
    assert decided.link is not None
    assert live(scene, decided.link)
    assert pay(scene) == []
    assert live(scene, decided.link)


def test_what_an_earlier_question_left_is_revoked_when_the_later_one_is_cancelled(scene: Scene) -> None:
    scene.link(scene.accounts[0])
    scene.ask(scene.accounts[1])
    scene.decide(scene.ask(scene.accounts[1]), Choice.CANCEL)
    assert scene.server.state.live_refresh_tokens(scene.accounts[1].subject) == []
    assert pay(scene) == [RevocationResult.CONFIRMED]


def test_a_failed_linking_does_not_end_what_waits_for_the_persons_word(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.link(scene.accounts[0])
    waiting, callback = scene.ask(scene.accounts[1]), scene.come_back(scene.accounts[1])
    scene.unlink()

    def fail() -> None:
        raise LinkDenied("no account")

    with monkeypatch.context() as patched:
        meanwhile(scene, patched, fail)
        with pytest.raises(LinkDenied):
            scene.complete(callback)
    decided = scene.decide(waiting, Choice.ADD)
    assert decided.link is not None
    assert live(scene, decided.link)


def test_one_persons_unlinking_leaves_anothers_link_to_the_account_alive(scene: Scene) -> None:
    scene.link(scene.accounts[0])
    bobs = scene.link(scene.accounts[0], BOBS)
    scene.unlink()
    assert live(scene, bobs)
    assert pay(scene) == []
    assert live(scene, bobs)


def test_the_last_unlinking_of_an_account_ends_the_whole_grant(scene: Scene) -> None:
    scene.link(scene.accounts[0])
    scene.link(scene.accounts[0], BOBS)
    scene.unlink()
    scene.unlink(BOBS)
    assert scene.server.state.live_refresh_tokens() == []
    assert pay(scene) == [RevocationResult.CONFIRMED]


def test_what_one_person_owes_does_not_end_the_link_that_another_made_since(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.link(scene.accounts[0])
    with monkeypatch.context() as patched:
        patched.setattr(scene.client, "revoke", lambda *_about: RevocationResult.FAILED)
        scene.unlink()
    bobs = scene.link(scene.accounts[0], BOBS)
    assert pay(scene) == []
    assert live(scene, bobs)


def test_no_link_is_made_of_a_grant_that_a_late_answer_ended(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    link = scene.link(scene.accounts[0])
    lease = scene.stores.links.take_lease(link, "node/slow", LENGTH)
    assert lease is not None
    outcome = scene.client.refresh(scene.provider, lease.refresh_token, Asked(), frozenset())
    assert isinstance(outcome, Granted)
    scene.unlink()
    meanwhile(scene, monkeypatch, lambda: scene.save(lease, outcome.tokens))
    with pytest.raises(ProviderUnavailable):
        scene.complete(scene.come_back(scene.accounts[0]))
    assert scene.links() == []
    assert live(scene, scene.link(scene.accounts[0]))


@pytest.mark.parametrize("who", [SESSION, BOBS], ids=["oneself", "another"])
def test_no_link_is_made_of_a_grant_that_an_unlinking_ended_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, who: Caller
) -> None:
    scene.link(scene.accounts[0], who)
    callback = scene.come_back(scene.accounts[0])
    meanwhile(scene, monkeypatch, lambda: scene.unlink(who))
    with pytest.raises(ProviderUnavailable):
        scene.complete(callback)
    assert scene.links() == []
    assert live(scene, scene.link(scene.accounts[0]))


def test_a_link_stays_alive_where_the_settings_say_since_that_revoking_ends_all(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.provider = replace(scene.provider, revokes_grant=False)
    scene.link(scene.accounts[0])
    with monkeypatch.context() as patched:
        patched.setattr(scene.client, "revoke", lambda *_about: RevocationResult.FAILED)
        scene.unlink()
    link = scene.link(scene.accounts[0])
    scene.provider = replace(scene.provider, revokes_grant=True)
    assert pay(scene) == []
    assert live(scene, link)
    assert [standing.link.id for standing in scene.stores.links.standings(ADA)] == [link.id]

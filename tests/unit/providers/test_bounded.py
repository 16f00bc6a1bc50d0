"""How many opaque tokens are asked about at once, and how long a refusal is believed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from support.waiting import eventually
from tokenstore.core.places import Places
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, ProviderUnavailable
from tokenstore.providers import bounded
from tokenstore.providers.bounded import REFUSED_SECONDS, BoundedChecks

AT_ONCE = Places().most


@dataclass
class Scene:
    """Checks that may be held up, refuse all tokens but those that begin with `good`, and are counted."""

    seconds: float = 50.0
    asked: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()
        self.checks = BoundedChecks(self.verify, Places(), monotonic=lambda: self.seconds)

    def verify(self, token: Secret) -> Mapping[str, Any]:
        self.asked.append(token.reveal())
        self.go_on.wait(10)
        if token.reveal() == "outage":
            raise ProviderUnavailable("The provider does not answer.")
        if not token.reveal().startswith("good"):
            raise BadCredentials("The token is not valid.", debug="inactive")
        return {"sub": "ada"}

    def refuse(self, token: str) -> BadCredentials:
        with pytest.raises(BadCredentials) as caught:
            self.checks.verify(Secret(token))
        return caught.value


def test_no_more_than_some_are_asked_about_at_once_and_nobody_waits() -> None:
    scene = Scene()
    scene.go_on.clear()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [pool.submit(scene.checks.verify, Secret(f"good-{number}")) for number in range(AT_ONCE)]
        eventually(lambda: len(scene.asked) == AT_ONCE, "as many as may be")
        with pytest.raises(ProviderUnavailable) as caught:
            scene.checks.verify(Secret("good-too"))
        scene.go_on.set()
        answers = [one.result() for one in under_way]
    assert caught.value.retry_after == timedelta(seconds=1)
    assert answers == [{"sub": "ada"}] * AT_ONCE


@pytest.mark.parametrize("token", ["bad", "outage", "good"])
def test_a_place_is_free_again_whatever_came_of_the_check(token: str) -> None:
    scene = Scene()
    for number in range(AT_ONCE * 2):
        try:
            scene.checks.verify(Secret(token))
        except (BadCredentials, ProviderUnavailable):
            scene.seconds += REFUSED_SECONDS
        assert len(scene.asked) == number + 1


def test_a_refused_token_is_refused_for_some_seconds_without_asking() -> None:
    scene = Scene()
    first, again = scene.refuse("bad"), scene.refuse("bad")
    assert (again.detail, again.debug, scene.asked) == (first.detail, first.debug, ["bad"])
    scene.seconds += REFUSED_SECONDS
    scene.refuse("bad")
    assert scene.asked == ["bad", "bad"]


def test_a_known_refusal_needs_no_free_place() -> None:
    scene = Scene()
    scene.refuse("bad")
    scene.go_on.clear()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(AT_ONCE):
            pool.submit(scene.checks.verify, Secret(f"good-{number}"))
        eventually(lambda: len(scene.asked) == AT_ONCE + 1, "as many as may be")
        scene.refuse("bad")
        scene.go_on.set()


def test_an_outage_is_not_remembered() -> None:
    scene = Scene()
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            scene.checks.verify(Secret("outage"))
    assert scene.asked == ["outage", "outage"]


def test_only_some_refusals_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "REFUSED_MOST", 2)
    scene = Scene()
    for token in ("one", "two", "three", "one"):
        scene.refuse(token)
    assert scene.asked == ["one", "two", "three", "one"]

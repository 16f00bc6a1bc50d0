"""Many callers, one expired link, several processes, a provider that revokes everything on reuse: one refresh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.client import Answer, call
from demo.knobs import Fault
from support.store import API, Store, StorePerson, store_on
from support.waiting import eventually

CALLERS = 50


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store of two worker processes on an empty database."""
    with store_on(database_url, tmp_path, workers=2) as running:
        yield running


@pytest.mark.timeout(120)
@pytest.mark.parametrize("latency_ms", [0, 50])
def test_fifty_callers_over_two_processes_cause_one_refresh_and_the_link_lives(store: Store, latency_ms: int) -> None:
    provider = store.providers["idp1"]
    person = store.person()
    person.link("idp1")
    before = person.token("idp1").json()["access_token"]
    store.let_pass(4000)
    if latency_ms:
        provider.knobs.set(Fault.LATENCY, latency_ms / 1000)

    answers = herd(person)

    # Whoever was told to ask again does so.
    eventually(lambda: person.token("idp1").status == 200, "the token")
    given = {answer.json()["access_token"] for answer in answers if answer.status == 200}
    told = {(answer.status, answer.slug) for answer in answers}
    assert told <= {(200, None), (503, "refresh-in-progress")}, told
    assert given == {person.token("idp1").json()["access_token"]}
    assert given != {before}
    assert provider.calls.count("token", "refresh_token") == 1
    assert len(provider.state.live_refresh_tokens(person.account.subject)) == 1

    # The link is alive: its refresh token is the one that the provider expects.
    store.let_pass(31)
    forced = person.token("idp1", force="true")
    assert (forced.status, forced.json()["cached"]) == (200, False)
    assert provider.calls.count("token", "refresh_token") == 2
    [grant] = provider.state.grants(person.account.subject)
    assert not grant.revoked


def herd(person: StorePerson) -> list[Answer]:
    """The answers to as many requests at the same moment."""
    barrier, bearer, url = threading.Barrier(CALLERS), person.bearer(), person.store.url

    def ask(_: int) -> Answer:
        barrier.wait(30)
        return call(url, "GET", f"{API}/idp1/token", bearer=bearer)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, range(CALLERS)))

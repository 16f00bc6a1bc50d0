"""Many callers, one expired link, several processes, a provider that revokes everything on reuse: one refresh."""

from __future__ import annotations

import re
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
RACES = 10


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store of two worker processes on an empty database."""
    with store_on(database_url, tmp_path, workers=2) as running:
        yield running


@pytest.mark.timeout(120)
@pytest.mark.parametrize("latency_ms", [0, 50])
def test_fifty_callers_over_two_processes_cause_one_refresh_and_the_link_lives(store: Store, latency_ms: int) -> None:
    person = store.person()
    person.link("idp1")
    if latency_ms:
        store.providers["idp1"].knobs.set(Fault.LATENCY, latency_ms / 1000)

    # The system hands connections out as it likes: race until both processes had a part in one race.
    for _ in range(RACES):
        if len(race(person)) == 2:
            break
    else:
        pytest.fail("one process took all requests each time")

    assert_link_is_alive(person)


def race(person: StorePerson) -> set[str]:
    """One race for one expired token, everything about it checked; the processes that had a part in it."""
    store, calls = person.store, person.store.providers["idp1"].calls
    old, before = person.token("idp1").json()["access_token"], calls.count("token", "refresh_token")
    store.let_pass(4000)
    logged = len(log_of(store))

    answers = herd(person)
    # The access log is written after the answer; a line more may be that of the request before the herd.
    eventually(lambda: len(workers_of(log_of(store)[logged:])) >= CALLERS, "a log line for each caller")
    of_herd = workers_of(log_of(store)[logged:])[-CALLERS:]

    # Whoever was told to ask again does so.
    eventually(lambda: person.token("idp1").status == 200, "the token")
    given = {answer.json()["access_token"] for answer in answers if answer.status == 200}
    told = {(answer.status, answer.slug) for answer in answers}
    assert told <= {(200, None), (503, "refresh-in-progress")}, told
    assert given == {person.token("idp1").json()["access_token"]}
    assert given != {old}
    assert calls.count("token", "refresh_token") == before + 1
    return set(of_herd)


def workers_of(log: str) -> list[str]:
    """The process that answered, for each request for the token in the order of the log."""
    return re.findall(rf"worker (\S+): GET {API}/idp1/token", log)


def log_of(store: Store) -> str:
    assert store.log is not None
    return store.log.read_text()


def assert_link_is_alive(person: StorePerson) -> None:
    """The refresh token in the store is the one that the provider expects, and the family is whole."""
    provider = person.store.providers["idp1"]
    person.store.let_pass(31)
    forced = person.token("idp1", force="true")
    assert (forced.status, forced.json()["cached"]) == (200, False)
    [grant] = provider.state.grants(person.account.subject)
    assert not grant.revoked
    assert len(provider.state.live_refresh_tokens(person.account.subject)) == 1


def herd(person: StorePerson) -> list[Answer]:
    """The answers to as many requests at the same moment."""
    barrier, bearer, url = threading.Barrier(CALLERS), person.bearer(), person.store.url

    def ask(_: int) -> Answer:
        barrier.wait(30)
        return call(url, "GET", f"{API}/idp1/token", bearer=bearer)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, range(CALLERS)))

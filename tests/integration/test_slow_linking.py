"""A provider that hangs while people come back from it: others' tokens go on, and nobody's authorization is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.browser import Page
from demo.knobs import Fault
from demo.person import Person
from demo.server import RunningProvider
from support.store import Store, StorePerson, store_on
from support.waiting import eventually

THREADS = 8
HANGS_FOR = 6.0
AT_ONCE = 2.0

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store of one worker with eight threads."""
    with store_on(database_url, tmp_path, workers=1) as running:
        yield running


def come_back(store: Store, slow: RunningProvider, addresses: dict[StorePerson, str]) -> list[Page]:
    """What these people see who come back all at once from a provider that hangs; a cached token is given meanwhile."""
    somebody = store.person()
    somebody.link("idp1")
    assert somebody.token("idp1").status == 200
    slow.knobs.set(Fault.LATENCY, HANGS_FOR)
    with ThreadPoolExecutor(len(addresses)) as pool:
        pages: list[Future[Page]] = [
            pool.submit(person.browser.get, address, within=store.url) for person, address in addresses.items()
        ]
        eventually(lambda: sum(page.done() for page in pages) == THREADS // 2, "half of them to be told to come again")
        begun = time.monotonic()
        assert somebody.token("idp1").status == 200
        assert time.monotonic() - begun < AT_ONCE
        assert sum(page.done() for page in pages) == THREADS // 2
        seen = [page.result() for page in pages]
    slow.knobs.clear()
    return seen


def is_to_come_again(page: Page) -> bool:
    """Whether the page says to load it again."""
    said = page.status == 503 and page.headers["Retry-After"] == "5" and "load this page again" in page.text
    return said and (page.url, "Try again") in page.links


def test_people_who_come_back_from_a_provider_that_hangs_leave_threads_to_others_and_lose_nothing(store: Store) -> None:
    people = [store.person() for _ in range(THREADS)]
    for person in people:
        person.log_in()
    addresses = {person: person.callback("slow") for person in people}

    pages = come_back(store, store.providers["slow"], addresses)

    again = [person for person, page in zip(people, pages, strict=True) if is_to_come_again(page)]
    assert len(again) == THREADS // 2
    linked = [person.browser.get(addresses[person]) for person in again]
    assert [(page.status, page.url) for page in linked] == [(200, f"{store.url}/")] * len(again)
    assert [person.token("slow").status for person in people] == [200] * len(people)


def test_people_who_log_in_at_a_provider_that_hangs_leave_threads_to_others_and_lose_nothing(store: Store) -> None:
    people = [store.person() for _ in range(THREADS)]
    addresses = {person: logging_in(person) for person in people}

    pages = come_back(store, store.world.login, addresses)

    again = [person for person, page in zip(people, pages, strict=True) if is_to_come_again(page)]
    assert len(again) == THREADS // 2
    inside = [person.browser.get(addresses[person]) for person in again]
    assert [(page.status, page.url) for page in inside] == [(200, f"{store.url}/")] * len(again)


def logging_in(person: StorePerson) -> str:
    """The address at which the login provider's answer is taken."""
    page = person.browser.get(f"{person.store.url}/api/oidc/login", within=person.store.url)
    return Person(person.login, person.browser).approve(str(page.location))

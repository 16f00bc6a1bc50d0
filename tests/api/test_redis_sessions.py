"""Sessions kept in Redis: a login lives there and nowhere else, and programs do not need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.redis_server import RedisServer, free_place, redis_at
from support.store import Store, StorePerson, local_store
from tokenstore.store.tables import session


@pytest.fixture
def redis_stop() -> Iterator[tuple[RedisServer, ExitStack]]:
    """A Redis that the test may stop, by closing the stack."""
    with ExitStack() as stack:
        place = free_place()
        stack.enter_context(redis_at(place))
        yield place, stack


@pytest.fixture
def own_store(redis_stop: tuple[RedisServer, ExitStack], tmp_path: Path) -> Iterator[Store]:
    with local_store(tmp_path, SESSION_TYPE="redis", SESSION_REDIS=redis_stop[0].url) as running:
        yield running


@pytest.fixture
def somebody(own_store: Store) -> StorePerson:
    person = own_store.person()
    person.link("idp1")
    return person


def test_a_login_is_kept_in_redis_and_not_in_the_database(
    somebody: StorePerson, redis_stop: tuple[RedisServer, ExitStack]
) -> None:
    cookie = somebody.browser.cookies(somebody.store.url)["tokenstore"]
    with redis_stop[0].client() as client:
        keys = client.keys("*")
        kept = [b"".join(client.hgetall(key).values()) for key in keys]

    assert somebody.session_call("GET", "/api/whoami").json()["id"] == somebody.login.subject
    assert (len(keys), somebody.store.rows(session)) == (1, [])
    assert not any(word.encode() in kept[0] + keys[0] for word in (cookie, somebody.login.subject))


def test_a_logout_leaves_nothing_of_the_login_in_redis(
    somebody: StorePerson, redis_stop: tuple[RedisServer, ExitStack]
) -> None:
    somebody.log_out()

    with redis_stop[0].client() as client:
        assert client.keys("*") == []


def test_without_redis_browsers_are_told_to_ask_again_and_programs_are_served(
    somebody: StorePerson, redis_stop: tuple[RedisServer, ExitStack]
) -> None:
    redis_stop[1].close()

    refused = somebody.session_call("GET", "/api/whoami")
    assert (refused.status, refused.slug, "Retry-After" in refused.headers) == (503, "storage-unavailable", True)
    assert somebody.browser.get(f"{somebody.store.url}/").status == 503
    assert somebody.token("idp1").status == 200
    assert somebody.store.call("GET", "/readyz").status == 200


def test_redis_that_comes_back_is_used_again(somebody: StorePerson, redis_stop: tuple[RedisServer, ExitStack]) -> None:
    place, stack = redis_stop
    stack.close()
    assert somebody.session_call("GET", "/api/whoami").status == 503

    stack.enter_context(redis_at(place))

    # This one keeps nothing on disk, so the login is forgotten.
    assert somebody.session_call("GET", "/api/whoami").status == 401
    somebody.log_in()
    assert somebody.session_call("GET", "/api/whoami").status == 200

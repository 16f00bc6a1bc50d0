"""Browser sessions: when rows and cookies come, change and go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import create_engine

from support.keys import memory_vault
from support.redis_server import free_place
from support.sessions import IDLE, LIFETIME, SessionTable, session_table
from support.web import PUBLIC_URL, app_with_sessions
from tokenstore.identity.session_redis import KEY_PREFIX, RedisSessions
from tokenstore.identity.session_rows import SessionRows
from tokenstore.identity.session_store import SessionStore
from tokenstore.identity.session_values import new_sid
from tokenstore.identity.sessions import TOUCH_EVERY
from tokenstore.store.engine import Database

MOMENT = timedelta(seconds=5)


@pytest.fixture(params=["sqlite_url", "postgres_url", "redis_url"])
def table(request: pytest.FixtureRequest) -> Iterator[SessionTable]:
    made = session_table(request.getfixturevalue(request.param))
    yield made
    made.close()


@pytest.fixture
def browser(table: SessionTable) -> FlaskClient:
    return app_with_sessions(table.rows, memory_vault()).test_client()


def get(client: FlaskClient, path: str) -> dict[str, str]:
    answer = client.get(path, base_url=PUBLIC_URL)
    assert answer.status_code == 200
    return answer.get_json(silent=True) or {}


def test_stored_value_is_there_in_the_next_request(browser: FlaskClient) -> None:
    get(browser, "/store?a=1")
    assert get(browser, "/show") == {"a": "1"}


def test_second_value_joins_the_first(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    get(browser, "/store?b=2")
    assert (get(browser, "/show"), table.count()) == ({"a": "1", "b": "2"}, 1)


def test_looking_makes_neither_row_nor_cookie(browser: FlaskClient, table: SessionTable) -> None:
    answer = browser.get("/show", base_url=PUBLIC_URL)
    assert (table.count(), "Set-Cookie" in answer.headers) == (0, False)


def test_request_that_does_not_look_asks_no_database(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    statements = table.watch()
    answer = browser.get("/quiet", base_url=PUBLIC_URL)
    assert (statements(), "Cookie" in answer.headers.get("Vary", "")) == ((0, 0), False)


def test_answer_that_depends_on_the_session_varies_by_cookie(browser: FlaskClient) -> None:
    assert "Cookie" in browser.get("/show", base_url=PUBLIC_URL).headers["Vary"]


def test_cookie_is_sent_only_when_it_is_new(browser: FlaskClient) -> None:
    get(browser, "/store?a=1")
    assert "Set-Cookie" not in browser.get("/store?b=2", base_url=PUBLIC_URL).headers


def test_login_keeps_the_content_under_a_new_id(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    before = table.ids()
    get(browser, "/login")
    assert get(browser, "/show") == {"a": "1", "user": "someone"}
    assert table.count() == 1
    assert table.ids() != before


def test_logout_removes_row_and_cookie(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/login")
    answer = browser.get("/logout", base_url=PUBLIC_URL)
    assert (table.count(), browser.get_cookie("__Host-tokenstore", "tokens.example.org")) == (0, None)
    assert answer.headers["Set-Cookie"].startswith("__Host-tokenstore=; ")


def test_logout_of_an_anonymous_browser_does_nothing(browser: FlaskClient) -> None:
    assert "Set-Cookie" not in browser.get("/logout", base_url=PUBLIC_URL).headers


@pytest.mark.asvs("7.3.1")
def test_idle_session_ends(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    table.let_pass(IDLE + MOMENT)
    assert get(browser, "/show") == {}


def test_used_session_lives_beyond_its_idle_time(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    for _ in range(3):
        table.let_pass(IDLE / 2 + MOMENT)
        assert get(browser, "/show") == {"a": "1"}


@pytest.mark.asvs("7.3.2")
def test_session_ends_after_its_lifetime_however_much_it_is_used(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    half_idle = IDLE / 2
    for _ in range(LIFETIME // half_idle):
        assert get(browser, "/show") == {"a": "1"}
        table.let_pass(half_idle)
    assert get(browser, "/show") == {}


def test_changed_session_ends_after_its_lifetime_too(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    table.let_pass(IDLE - MOMENT)
    for _ in range(LIFETIME // IDLE):
        get(browser, "/store?b=2")
        table.let_pass(IDLE - MOMENT)
    assert get(browser, "/show") == {}


def test_looking_often_writes_at_most_once_a_minute(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    table.let_pass(TOUCH_EVERY + MOMENT)
    statements = table.watch()
    for _ in range(5):
        get(browser, "/show")
    assert statements()[1] == 1


def test_ended_rows_are_removed_when_new_ones_come(browser: FlaskClient, table: SessionTable) -> None:
    for _ in range(3):
        get(browser.application.test_client(), "/store?a=1")
    table.let_pass(LIFETIME + MOMENT)
    get(browser, "/store?a=1")
    assert table.count() == 1


def test_change_by_a_request_that_overlaps_a_logout_does_not_bring_the_session_back(table: SessionTable) -> None:
    table.rows.insert("00", b"content")
    table.rows.delete("00")
    table.rows.update("00", b"other")
    assert table.count() == 0


@pytest.fixture(params=["database", "redis"])
def unreachable(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    """Sessions in a database that cannot be opened, or in a Redis that is not there."""
    if request.param == "redis":
        return RedisSessions(free_place().url, idle=IDLE, lifetime=LIFETIME)
    engine = create_engine(f"sqlite:///{tmp_path / 'no-such-folder' / 'tokenstore.db'}")
    return SessionRows(Database(engine), idle=IDLE, lifetime=LIFETIME)


def test_database_trouble_is_a_problem_and_no_logout(unreachable: SessionStore) -> None:
    client = app_with_sessions(unreachable, memory_vault()).test_client()
    client.set_cookie("__Host-tokenstore", new_sid(), domain="tokens.example.org")
    answer = client.get("/show", base_url=PUBLIC_URL)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (503, False)


def test_trouble_while_storing_is_a_problem(unreachable: SessionStore) -> None:
    client = app_with_sessions(unreachable, memory_vault()).test_client()
    answer = client.get("/store?a=1", base_url=PUBLIC_URL)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("created", ["", "yesterday", "1.5", "9" * 12, "9" * 17, "9" * 40, "-" + "9" * 17])
def test_what_another_program_wrote_into_redis_is_no_session(redis_url: str, created: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.hset(f"{KEY_PREFIX}a", mapping={"sealed": b"content", "created": created})
        client.pexpire(f"{KEY_PREFIX}a", 60_000)
    found = RedisSessions(redis_url, idle=IDLE, lifetime=LIFETIME).read("a")
    assert found is None

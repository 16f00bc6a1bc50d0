"""Where people are logged in: listing, signing out there and everywhere, and hearing of it from the login provider."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest

from demo.browser import Browser, Form, Page
from demo.person import Person
from demo.world import CLIENT_ID, STRICT
from support.store import API, Store, StorePerson

EVENT = "http://schemas.openid.net/event/backchannel-logout"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@pytest.fixture
def elsewhere(store: Store, person: StorePerson) -> StorePerson:
    """The same person in another browser, logged in there."""
    other = StorePerson(store, person.login, person.account, person.other_account)
    other.log_in()
    return other


def is_logged_in(person: StorePerson) -> bool:
    return person.session_call("GET", "/api/whoami").status == 200


def sessions(person: StorePerson) -> list[dict[str, Any]]:
    answer = person.session_call("GET", f"{API}/sessions")
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def logout_token(store: Store, subject: str, **changes: Any) -> str:
    """A logout token of the login provider; None leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": store.world.login.issuer,
        "aud": CLIENT_ID,
        "sub": subject,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_hex(8),
        "events": {EVENT: {}},
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return store.world.login.state.keys.sign(present, typ="logout+jwt")


def say(store: Store, token: str) -> Page:
    """What the login provider does when somebody logs out there."""
    address = f"{store.url}/api/oidc/backchannel_logout"
    return Browser().submit(Form(store.world.login.issuer, address, "post", {"logout_token": token}))


def test_each_browser_is_listed_and_the_present_one_is_marked(person: StorePerson, elsewhere: StorePerson) -> None:
    person.log_in()
    mine, theirs = sessions(person), sessions(elsewhere)
    assert len(mine) == len(theirs) == 2
    assert {one["id"] for one in mine if one["current"]}.isdisjoint({one["id"] for one in theirs if one["current"]})
    assert all(one["created_at"] <= one["seen_at"] < one["ends_at"] for one in mine)


def test_a_program_sees_the_sessions_and_none_is_its_own(person: StorePerson) -> None:
    person.log_in()
    (one,) = person.call("GET", f"{API}/sessions").json()
    assert one["current"] is False


def test_the_browser_is_told_in_words(store: Store, person: StorePerson) -> None:
    page = person.browser.get(f"{store.url}/api/oidc/login", headers={"User-Agent": FIREFOX}, within=store.origin)
    callback = Person(person.login, person.browser).approve(str(page.location))
    person.browser.get(callback, headers={"User-Agent": FIREFOX}, within=store.origin)
    assert [one["agent"] for one in sessions(person)] == ["Firefox on Linux"]


@pytest.mark.asvs("7.5.2")
def test_signing_out_one_browser_leaves_the_other(person: StorePerson, elsewhere: StorePerson) -> None:
    person.log_in()
    other = next(one["id"] for one in sessions(elsewhere) if one["current"])
    assert person.session_call("DELETE", f"{API}/sessions/{other}").json() == {"ended": 1}
    assert (is_logged_in(person), is_logged_in(elsewhere)) == (True, False)


def test_signing_out_everywhere_ends_all_at_once(person: StorePerson, elsewhere: StorePerson, store: Store) -> None:
    person.log_in()
    assert person.session_call("DELETE", f"{API}/sessions").json() == {"ended": 2}
    assert (is_logged_in(person), is_logged_in(elsewhere)) == (False, False)
    assert ("login.ended", "everywhere") in store.audit(person)


def test_a_stolen_cookie_is_good_for_nothing_after_the_logout(person: StorePerson, store: Store) -> None:
    person.log_in()
    cookies = person.browser.cookies(store.url)
    assert person.session_call("DELETE", f"{API}/sessions").status == 200
    stolen = "; ".join(f"{name}={value}" for name, value in cookies.items())
    assert store.call("GET", "/api/whoami", headers={"Cookie": stolen}).status == 401


def test_a_second_login_in_one_browser_takes_the_place_of_the_first(person: StorePerson) -> None:
    person.log_in()
    person.log_in()
    assert len(sessions(person)) == 1


def test_a_logout_removes_the_session_from_the_list(person: StorePerson, elsewhere: StorePerson) -> None:
    person.log_in()
    person.log_out()
    assert len(sessions(elsewhere)) == 1


def test_links_of_programs_outlive_all_sessions(person: StorePerson) -> None:
    person.link(STRICT)
    person.session_call("DELETE", f"{API}/sessions")
    assert person.token(STRICT).status == 200


def test_a_back_channel_logout_ends_all_sessions_of_its_subject(
    store: Store, person: StorePerson, elsewhere: StorePerson
) -> None:
    person.log_in()
    bystander = store.person()
    bystander.log_in()
    answer = say(store, logout_token(store, person.login.subject))
    assert (answer.status, answer.text) == (200, "")
    assert (is_logged_in(person), is_logged_in(elsewhere), is_logged_in(bystander)) == (False, False, True)
    assert ("login.ended", "back-channel") in store.audit(person)


@pytest.mark.asvs("10.5.5")
def test_a_logout_token_counts_once(store: Store, person: StorePerson) -> None:
    person.log_in()
    token = logout_token(store, person.login.subject)
    assert say(store, token).status == 200
    person.log_in()
    assert (say(store, token).status, is_logged_in(person)) == (400, True)


@pytest.mark.parametrize("changes", [{"events": {}}, {"nonce": "n"}, {"aud": "another"}, {"iat": 1}, {"jti": None}])
def test_a_token_that_is_no_logout_token_ends_nothing(
    store: Store, person: StorePerson, changes: dict[str, Any]
) -> None:
    person.log_in()
    answer = say(store, logout_token(store, person.login.subject, **changes))
    assert (answer.status, is_logged_in(person)) == (400, True)
    assert answer.json()["type"].endswith("/invalid-request")


def test_an_access_token_is_no_logout_token(store: Store, person: StorePerson) -> None:
    person.log_in()
    assert (say(store, person.bearer()).status, is_logged_in(person)) == (400, True)


def test_the_page_signs_out_another_browser(store: Store, person: StorePerson, elsewhere: StorePerson) -> None:
    person.log_in()
    page = person.browser.get(f"{store.url}/sessions")
    other = next(one["id"] for one in sessions(elsewhere) if one["current"])
    form = next(form for form in page.forms if form.action.endswith(f"/sessions/{other}/end"))
    assert "Signed out there." in person.browser.submit(form).text
    assert (is_logged_in(person), is_logged_in(elsewhere)) == (True, False)


def test_the_page_signs_out_everywhere(store: Store, person: StorePerson, elsewhere: StorePerson) -> None:
    person.log_in()
    form = next(form for form in person.browser.get(f"{store.url}/sessions").forms if form.action.endswith("/sessions"))
    page = person.browser.submit(form)
    assert "Log in" in page.text
    assert (is_logged_in(person), is_logged_in(elsewhere)) == (False, False)


def test_a_stranger_is_sent_to_the_login(store: Store) -> None:
    page = Browser().get(f"{store.url}/sessions", within=store.origin)
    assert str(page.location).startswith(store.world.login.issuer)

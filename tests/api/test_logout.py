"""Logging out: here, at the login provider, and never by a mere link."""

from __future__ import annotations

from demo.person import Person
from support.store import Store, StorePerson


def test_a_mere_link_logs_nobody_out(store: Store, person: StorePerson) -> None:
    person.log_in()

    page = person.browser.get(f"{store.url}/api/oidc/logout")

    assert page.status == 200
    assert person.session_call("GET", "/api/whoami").status == 200


def test_logout_ends_the_session_here_and_at_the_login_provider(store: Store, person: StorePerson) -> None:
    person.log_in()
    page = person.browser.get(f"{store.url}/api/oidc/logout")
    form = next(form for form in page.forms if form.action.endswith("/api/oidc/logout"))

    onward = person.browser.submit(form)

    assert onward.refresh is not None
    assert onward.refresh.startswith(f"{store.world.login.issuer}/end_session?")
    assert person.browser.get(onward.refresh).url == f"{store.url}/"
    assert person.session_call("GET", "/api/whoami").status == 401
    assert person.browser.get(f"{store.url}/api/oidc/login").form("username", "password") is not None


def test_a_session_cookie_kept_from_before_the_logout_is_worth_nothing(store: Store, person: StorePerson) -> None:
    person.log_in()
    stolen = person.browser.cookies(store.url)["tokenstore"]
    person.session_call("POST", "/api/oidc/logout")

    answer = store.call("GET", "/api/whoami", headers={"Cookie": f"tokenstore={stolen}"})

    assert answer.status == 401


def test_logout_tells_the_browser_to_forget(person: StorePerson) -> None:
    person.log_in()

    answer = person.session_call("POST", "/api/oidc/logout")

    assert '"storage"' in answer.headers["Clear-Site-Data"]


def test_logout_without_a_session_is_no_error(store: Store) -> None:
    assert store.call("POST", "/api/oidc/logout", headers={"Origin": store.url}).status in {200, 303}


def test_a_session_ends_when_it_was_not_used_for_eight_hours(store: Store, person: StorePerson) -> None:
    person.log_in()
    store.let_pass(8 * 3600 + 1)

    assert person.session_call("GET", "/api/whoami").status == 401


def test_a_session_that_is_used_ends_after_seven_days_all_the_same(store: Store, person: StorePerson) -> None:
    person.log_in()
    for _ in range(22):
        store.let_pass(7 * 3600 + 1200)
        assert person.session_call("GET", "/api/whoami").status == 200, "used in time, so it goes on"
    store.let_pass(7 * 3600 + 1200)

    assert person.session_call("GET", "/api/whoami").status == 401


def test_somebody_else_can_log_in_after_a_logout(store: Store, person: StorePerson) -> None:
    person.log_in()
    person.log_out()
    other = store.person()

    Person(other.login, person.browser).answer(person.browser.get(f"{store.url}/api/oidc/login"))

    assert person.session_call("GET", "/api/whoami").json()["id"] == other.login.subject

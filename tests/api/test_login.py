"""Logging in with OpenID Connect: what is sent, what is taken back, and what never logs anybody in."""

from __future__ import annotations

import pytest

from demo.browser import Browser
from demo.person import Person
from support.store import Store, StorePerson
from support.urls import query_of, with_query
from tokenstore.store.tables import audit_event

EVIL = "https://evil.example"


def begin(person: StorePerson) -> str:
    """Where the browser is sent to log in."""
    page = person.browser.get(f"{person.store.url}/api/oidc/login", within=person.store.url)
    assert page.status == 302
    assert page.location is not None
    return page.location


def callback(person: StorePerson, **changes: str | None) -> str:
    """The callback URL of an approved login whose authorization request was changed, not visited yet."""
    return Person(person.login, person.browser).approve(with_query(begin(person), **changes))


def is_logged_in(person: StorePerson, browser: Browser | None = None) -> bool:
    return (browser or person.browser).get(f"{person.store.url}/api/whoami").status == 200


def assert_refused(person: StorePerson, url: str, reason: str) -> None:
    """Visiting the callback logs nobody in, says so, and is audited with its origin."""
    assert_refused_unaudited(person, url, events=1)
    last = max(person.store.rows(audit_event), key=lambda row: row["at"])
    assert (last["action"], last["reason"], last["address"]) == ("login.refused", reason, "127.0.0.1")
    assert last["request_id"]


def assert_refused_unaudited(person: StorePerson, url: str, *, events: int = 0) -> None:
    """Visiting the callback logs nobody in and says so; it writes this many events."""
    before = len(person.store.audit())
    page = person.browser.get(url, within=person.store.url)

    assert (page.status, page.headers.get_content_type()) == (400, "text/html"), page.text
    assert not is_logged_in(person)
    assert len(person.store.audit()) == before + events


def test_login_asks_for_a_code_with_pkce_state_and_nonce(store: Store, person: StorePerson) -> None:
    asked = query_of(begin(person))

    assert {name: asked[name] for name in ("response_type", "code_challenge_method", "redirect_uri")} == {
        "response_type": "code",
        "code_challenge_method": "S256",
        "redirect_uri": f"{store.url}/api/oidc/redirect_uri",
    }
    assert all(len(asked[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert "openid" in asked["scope"].split()


def test_every_login_has_its_own_state_nonce_and_challenge(person: StorePerson) -> None:
    first, second = query_of(begin(person)), query_of(begin(person))

    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


def test_login_ends_at_the_landing_page(store: Store, person: StorePerson) -> None:
    assert person.log_in().url == f"{store.url}/"
    assert is_logged_in(person)


def test_login_comes_back_to_where_it_began(store: Store, person: StorePerson) -> None:
    assert person.log_in("/link/idp1?account=another").url == f"{store.url}/link/idp1?account=another"


@pytest.mark.parametrize("return_url", [EVIL, "//evil.example", "/\\evil.example", "/api/oidc/logout", "/%2e%2e/"])
def test_a_refused_return_address_of_a_login_becomes_the_landing_page(
    store: Store, person: StorePerson, return_url: str
) -> None:
    assert person.log_in(return_url).url == f"{store.url}/"


def test_login_is_audited(store: Store, person: StorePerson) -> None:
    person.log_in()

    assert ("login", None) in store.audit(person)


def test_login_changes_the_session_id(store: Store, person: StorePerson) -> None:
    url = callback(person)
    before = person.browser.cookies(store.url)["tokenstore"]

    person.browser.get(url)

    assert person.browser.cookies(store.url)["tokenstore"] != before


def test_the_session_before_a_login_is_gone_after_it(store: Store, person: StorePerson) -> None:
    url = callback(person)
    before = person.browser.cookies(store.url)["tokenstore"]
    person.browser.get(url)

    answer = store.call("GET", "/api/whoami", headers={"Cookie": f"tokenstore={before}"})

    assert answer.status == 401


def test_a_session_id_is_never_adopted_from_outside(store: Store) -> None:
    planted = "A" * 43
    answer = store.call("GET", "/api/oidc/login", headers={"Cookie": f"tokenstore={planted}"})

    assert answer.headers["Set-Cookie"]
    assert planted not in answer.headers["Set-Cookie"]


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(store: Store) -> None:
    cookie = store.call("GET", "/api/oidc/login").headers["Set-Cookie"]

    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_callback_works_once(person: StorePerson) -> None:
    url = callback(person)
    person.browser.get(url)

    again = person.browser.get(url, within=person.store.url)

    assert again.status == 400


def test_another_browser_cannot_finish_a_login(store: Store, person: StorePerson) -> None:
    url, other = callback(person), Browser()

    page = other.get(url, within=store.url)

    assert page.status == 400
    assert not is_logged_in(person, other)


def test_a_login_that_another_browser_tried_to_finish_is_over(store: Store, person: StorePerson) -> None:
    url = callback(person)
    Browser().get(url, within=store.url)

    assert_refused_unaudited(person, url)


def test_an_unknown_state_logs_nobody_in(person: StorePerson) -> None:
    assert_refused_unaudited(person, with_query(callback(person), state="unknown"))


def test_a_missing_state_logs_nobody_in(person: StorePerson) -> None:
    assert_refused_unaudited(person, with_query(callback(person), state=None))


def test_a_repeated_parameter_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, callback(person) + "&code=other", "invalid-request")


def test_a_login_older_than_ten_minutes_is_over(store: Store, person: StorePerson) -> None:
    url = callback(person)
    store.let_pass(601)

    assert_refused(person, url, "attempt-expired")


def test_a_browser_has_at_most_five_logins_under_way(person: StorePerson) -> None:
    first, *_ = [callback(person) for _ in range(6)]

    assert_refused_unaudited(person, first)


def test_an_answer_of_another_issuer_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, with_query(callback(person), iss=EVIL), "link-denied")


def test_an_answer_without_the_announced_issuer_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, with_query(callback(person), iss=None), "link-denied")


def test_an_answer_without_code_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, with_query(callback(person), code=None), "invalid-request")


def test_a_foreign_code_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, with_query(callback(person), code="guessed"), "link-denied")


def test_the_code_of_another_login_logs_nobody_in(person: StorePerson) -> None:
    stolen = query_of(callback(person))["code"]

    assert_refused(person, with_query(callback(person), code=stolen), "link-denied")


def test_an_id_token_for_another_nonce_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, callback(person, nonce="not-ours"), "link-denied")


def test_a_challenge_that_is_not_ours_logs_nobody_in(person: StorePerson) -> None:
    assert_refused(person, callback(person, code_challenge="x" * 43), "link-denied")


def test_a_person_who_says_no_is_told_so_and_not_logged_in(person: StorePerson) -> None:
    url = Person(person.login, person.browser).deny(with_query(begin(person), prompt="consent"))

    assert_refused(person, url, "link-denied")


def test_an_error_is_not_believed_before_its_state(person: StorePerson) -> None:
    url = f"{person.store.url}/api/oidc/redirect_uri?error=access_denied&state=unknown"

    assert_refused_unaudited(person, url)


def test_the_attempt_of_a_login_cannot_finish_a_link(store: Store, person: StorePerson) -> None:
    url = callback(person).replace("/api/oidc/redirect_uri", "/api/v1.0/idp1/redirect_uri")

    assert person.browser.get(url, within=store.url).status == 400

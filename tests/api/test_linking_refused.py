"""Callbacks that must not make a link: a clear page, an audit row, no stored token, and never a 500."""

from __future__ import annotations

import pytest

from demo.browser import Browser
from demo.knobs import Fault
from demo.person import Person
from support.store import Store, StorePerson
from support.urls import query_of, with_query
from tokenstore.store.tables import access_token, link

EVIL = "https://evil.example"


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who is logged in."""
    somebody = store.person()
    somebody.log_in()
    return somebody


def stored(store: Store) -> tuple[int, int]:
    """How many links and access tokens there are."""
    return len(store.rows(link)), len(store.rows(access_token))


def assert_refused(person: StorePerson, url: str, reason: str, *, status: int = 400) -> None:
    """Visiting the callback links nothing, says so, and is audited."""
    store, before = person.store, stored(person.store)
    page = person.browser.get(url, within=person.store.url)

    assert (page.status, page.headers.get_content_type()) == (status, "text/html"), page.text
    assert EVIL not in page.text
    assert stored(store) == before
    assert person.authorization("idp1")["links"] == []
    assert store.audit()[-1] == ("link.refused", reason)


def test_a_callback_links_once(store: Store, person: StorePerson) -> None:
    url = person.callback("idp1")
    person.browser.get(url)
    before = stored(store)

    assert person.browser.get(url, within=store.url).status == 400
    assert stored(store) == before
    assert store.audit(person)[-1] == ("link.refused", "attempt-expired")


def test_an_unknown_state_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), state="unknown"), "attempt-expired")


def test_a_missing_state_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), state=None), "attempt-expired")


def test_an_attempt_older_than_ten_minutes_links_nothing(store: Store, person: StorePerson) -> None:
    url = person.callback("idp1")
    store.let_pass(601)

    assert_refused(person, url, "attempt-expired")


def test_an_attempt_at_another_provider_links_nothing(person: StorePerson) -> None:
    url = person.callback("slow").replace("/slow/redirect_uri", "/idp1/redirect_uri")

    assert_refused(person, url, "attempt-expired")


@pytest.mark.parametrize("parameter", ["state", "code", "iss", "anything"])
def test_a_repeated_parameter_links_nothing(person: StorePerson, parameter: str) -> None:
    assert_refused(person, person.callback("idp1") + f"&{parameter}=1&{parameter}=2", "invalid-request")


def test_an_answer_of_another_issuer_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), iss=EVIL), "link-denied")


def test_an_answer_without_the_announced_issuer_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), iss=None), "link-denied")


def test_nothing_is_redeemed_for_an_answer_of_another_issuer(store: Store, person: StorePerson) -> None:
    calls = store.providers["idp1"].calls
    before = calls.count("token")

    person.browser.get(with_query(person.callback("idp1"), iss=EVIL), within=store.url)

    assert calls.count("token") == before


def test_a_person_who_says_no_is_told_so(person: StorePerson) -> None:
    assert_refused(person, Person(person.account, person.browser).deny(person.begin("idp1")), "link-denied")


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable", "invalid_scope", "<script>"])
def test_an_error_of_the_provider_is_told_without_its_text(person: StorePerson, error: str) -> None:
    url = with_query(person.callback("idp1"), code=None, error=error, error_description=EVIL)

    assert_refused(person, url, "link-denied")


def test_an_error_is_not_believed_before_its_state(person: StorePerson) -> None:
    url = with_query(person.callback("idp1"), code=None, error="access_denied", state="unknown")

    assert_refused(person, url, "attempt-expired")


def test_an_answer_without_code_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), code=None), "invalid-request")


def test_a_guessed_code_links_nothing(person: StorePerson) -> None:
    assert_refused(person, with_query(person.callback("idp1"), code="guessed"), "link-denied")


def test_the_code_of_another_attempt_links_nothing(person: StorePerson) -> None:
    other = query_of(person.callback("idp1"))["code"]

    assert_refused(person, with_query(person.callback("idp1"), code=other), "link-denied")


def test_another_user_cannot_finish_in_a_browser_of_their_own(store: Store, person: StorePerson) -> None:
    attacker = store.person()
    url = Person(attacker.account, attacker.browser).approve(attacker.begin("idp1"))

    assert_refused(person, url, "attempt-expired")


def test_another_user_cannot_finish_in_the_same_browser(store: Store, person: StorePerson) -> None:
    url = person.callback("idp1")
    person.log_out()
    other = store.person()
    other.browser = person.browser
    other.log_in()

    assert_refused(other, url, "attempt-expired")
    assert person.authorization("idp1")["links"] == []


def test_a_browser_without_login_cannot_finish(store: Store, person: StorePerson) -> None:
    before = stored(store)

    page = Browser().get(person.callback("idp1"), within=store.url)

    assert page.status in {400, 401}
    assert stored(store) == before


def test_the_same_user_in_another_session_cannot_finish_what_a_session_began(store: Store, person: StorePerson) -> None:
    begun = person.browser.get(f"{store.url}/api/v1.0/idp1/authorize", within=store.url)
    url = Person(person.account, person.browser).approve(str(begun.location))
    person.browser = Browser()
    person.log_in()

    assert_refused(person, url, "attempt-expired")


def test_an_id_token_about_another_nonce_links_nothing(person: StorePerson) -> None:
    url = Person(person.account, person.browser).approve(with_query(person.begin("idp1"), nonce="not-ours"))

    assert_refused(person, url, "link-denied")


def test_an_id_token_about_somebody_else_than_userinfo_links_nothing(store: Store, person: StorePerson) -> None:
    store.providers["idp1"].knobs.set(Fault.ID_TOKEN_SUBJECT, "somebody-else", times=1)

    assert_refused(person, person.callback("idp1"), "link-denied")


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        (Fault.STATUS, 500),
        (Fault.STATUS, 429),
        (Fault.HTML_BODY, True),
        (Fault.DROP_BEFORE, True),
        (Fault.DROP_AFTER, True),
        (Fault.TOKEN_TYPE, "mac"),
        (Fault.HUGE_BODY, 1_000_000),
    ],
)
def test_a_provider_that_answers_nonsense_links_nothing(
    store: Store, person: StorePerson, fault: Fault, value: bool | int | str
) -> None:
    store.providers["idp1"].knobs.set(fault, value)

    assert_refused(person, person.callback("idp1"), "provider-unavailable", status=503)


@pytest.mark.parametrize(("error", "reason", "status"), [
    ("invalid_client", "provider-misconfigured", 502),
    ("unauthorized_client", "provider-misconfigured", 502),
    ("invalid_grant", "link-denied", 400),
])  # fmt: skip
def test_a_refused_code_links_nothing(store: Store, person: StorePerson, error: str, reason: str, status: int) -> None:
    store.providers["idp1"].knobs.set(Fault.ERROR, error)

    assert_refused(person, person.callback("idp1"), reason, status=status)


def test_a_provider_that_gives_no_refresh_token_where_one_was_asked_for_links_nothing(
    store: Store, person: StorePerson
) -> None:
    store.providers["idp1"].knobs.set(Fault.NO_REFRESH_TOKEN)

    assert_refused(person, person.callback("idp1"), "no-offline-access")


def test_tokens_received_for_a_refused_link_are_given_back(store: Store, person: StorePerson) -> None:
    store.providers["idp1"].knobs.set(Fault.NO_REFRESH_TOKEN)

    person.browser.get(person.callback("idp1"), within=store.url)

    [grant] = store.providers["idp1"].state.grants(person.account.subject)
    assert grant.revoked


@pytest.mark.parametrize(("fault", "value"), [(Fault.ID_TOKEN_SUBJECT, "somebody-else"), (Fault.TOKEN_TYPE, "mac")])
def test_a_failed_linking_revokes_nothing_while_the_user_has_a_link_there(
    store: Store, person: StorePerson, fault: Fault, value: str
) -> None:
    person.link("idp1")
    url = person.callback("idp1")
    store.providers["idp1"].knobs.set(fault, value, times=1)

    assert person.browser.get(url, within=store.url).status >= 400

    assert not any(grant.revoked for grant in store.providers["idp1"].state.grants(person.account.subject))
    store.let_pass(3600)
    assert person.token("idp1").status == 200

"""What a linking may be begun with: scopes, prompt, hint, the link to renew, and being told the result."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from demo.knobs import Fault
from support.store import API, Store, StorePerson
from support.urls import query_of


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who is logged in."""
    somebody = store.person()
    somebody.log_in()
    return somebody


def test_a_program_chooses_scopes_prompt_and_hint(person: StorePerson) -> None:
    asked = query_of(person.begin("idp1", scope="email", prompt="login", login_hint="me@example.org"))

    assert asked["scope"].split() == ["openid", "email", "offline_access"]
    assert asked["prompt"].split() == ["consent", "login"]
    assert asked["login_hint"] == "me@example.org"


@pytest.mark.parametrize(
    ("name", "value"), [("scope", "admin"), ("prompt", "none"), ("result", "fragment"), ("link", "mine")]
)
def test_a_program_is_told_which_wish_is_refused(person: StorePerson, name: str, value: str) -> None:
    answer = person.call("POST", f"{API}/idp1/authorize", json_body={name: value})

    assert (answer.status, [problem["pointer"] for problem in answer.json()["errors"]]) == (400, [name])


def test_the_link_of_another_person_cannot_be_renewed(store: Store, person: StorePerson) -> None:
    theirs = store.person().link("idp1")

    answer = person.call("POST", f"{API}/idp1/authorize", json_body={"link": theirs})

    assert (answer.status, answer.slug) == (404, "not-found")


def test_a_browser_carries_its_wishes_over_the_start_page(store: Store, person: StorePerson) -> None:
    query = urlencode({"return_url": "/?a=b", "scope": "email", "login_hint": "me@example.org", "result": "query"})
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    page = person.browser.get(f"{store.url}{API}/idp1/authorize?{query}", headers=elsewhere, within=store.url)
    form = page.form("return_url")
    assert form is not None

    leads_to = person.browser.submit(form).refresh

    asked = query_of(str(leads_to))
    assert (asked["scope"].split(), asked["login_hint"]) == (["openid", "email", "offline_access"], "me@example.org")
    back = person.browser.get(person.at_provider().approve(str(leads_to)))
    assert back.url == f"{store.url}/?a=b&result=ok&provider=idp1"


def test_without_being_asked_the_return_address_is_told_nothing(store: Store, person: StorePerson) -> None:
    page = person.browser.get(person.callback("idp1", return_url="/?a=b"))

    assert page.url == f"{store.url}/?a=b"


def test_an_error_comes_back_by_its_name(store: Store, person: StorePerson) -> None:
    store.providers["idp1"].knobs.set(Fault.NO_REFRESH_TOKEN, True)

    page = person.browser.get(person.callback("idp1", return_url="/?a=b#c", result="query"), within=store.url)

    assert page.url.partition("#")[0] == f"{store.url}/?a=b&result=error&provider=idp1&error=no-offline-access"


def test_an_error_at_our_own_page_is_said_there(person: StorePerson) -> None:
    denied = person.at_provider().deny(person.begin("idp1", return_url="/", result="query"))

    page = person.browser.get(denied)

    assert page.status == 200
    assert "Access was not allowed" in page.text


def test_an_error_in_another_browser_stays_there(store: Store, person: StorePerson) -> None:
    url = person.callback("idp1", result="query")
    other = store.person()
    other.log_in()

    page = other.browser.get(url, within=store.url)

    assert (page.status, page.url) == (400, url)

"""Error pages over HTTP: what they say to whom, and that each has a way on."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.address import Address
from demo.browser import Browser, Page
from demo.knobs import Fault
from demo.person import Person
from demo.world import STRICT
from support.local_store import serving_locally
from support.store import Store, StorePerson, local_store
from support.urls import with_query

ACCOUNTS = "Go to your accounts"


def ways(page: Page) -> dict[str, str]:
    """The buttons of a page by their text, except those in its header."""
    return {text: url for url, text in page.links if text in {"Try again", "Log in", "Link the account", ACCOUNTS}}


def test_one_who_does_not_allow_a_linking_can_try_again(store: Store, person: StorePerson) -> None:
    person.log_in()
    denied = person.at_provider().deny(with_query(person.begin(STRICT), prompt="consent"))

    page = person.browser.get(denied)

    assert "Access was not allowed at Demo provider 1. Nothing was stored." in page.text
    assert ways(page) == {"Try again": f"{store.url}/link/{STRICT}", ACCOUNTS: f"{store.url}/"}


def test_an_error_page_keeps_the_header_of_who_is_logged_in(person: StorePerson) -> None:
    person.log_in()

    page = person.browser.get(f"{person.store.url}/link/nowhere")

    assert "Logged in as" in page.text
    assert page.form("csrf_token") is not None


def test_an_error_page_offers_a_stranger_the_login_and_no_accounts(store: Store, person: StorePerson) -> None:
    page = person.browser.get(f"{store.url}/no/such/page")

    assert list(ways(page)) == ["Log in"]


@pytest.mark.parametrize("step", ["login", "link"])
def test_going_back_to_a_step_that_was_done_says_so(store: Store, person: StorePerson, step: str) -> None:
    if step == "login":
        begun = person.browser.get(f"{store.url}/api/oidc/login", within=store.url)
        callback = Person(person.login, person.browser).approve(str(begun.location))
    else:
        person.log_in()
        callback = person.callback(STRICT)
    person.browser.get(callback)

    page = person.browser.get(callback)

    assert page.status == 400
    assert "This step was done already or has expired. Your accounts are as the list shows." in page.text
    assert ACCOUNTS in ways(page)


def test_one_who_does_not_allow_a_login_is_told_about_the_login(store: Store, person: StorePerson) -> None:
    begun = person.browser.get(f"{store.url}/api/oidc/login", within=store.url)
    denied = Person(person.login, person.browser).deny(with_query(str(begun.location), prompt="consent"))

    page = person.browser.get(denied)

    assert "<h1>You are not logged in</h1>" in page.text
    assert "Access was not allowed at the login provider." in page.text
    assert list(ways(page)) == ["Log in"]


def test_a_login_provider_that_is_down_is_called_so_and_can_be_tried_again(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        store.world.login.stop()

        page = Browser().get(f"{store.url}/api/oidc/login")

    assert page.status == 503
    assert "At present the login provider does not answer as it should." in page.text
    assert ways(page)["Try again"] == f"{store.url}/api/oidc/login"


def test_a_provider_that_is_down_is_called_by_its_name_and_can_be_tried_again(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/.well-known/openid-configuration"
    with local_store(tmp_path, IDP1_DISCOVERY_URL=nobody, IDP1_MD_NAME="Campus") as store:
        person = store.person()
        person.log_in()
        form = person.browser.get(f"{store.url}/link/{STRICT}").form("return_url")
        assert form is not None

        page = person.browser.submit(form)

    assert page.status == 503
    assert "At present Campus does not answer as it should." in page.text
    assert ways(page)["Try again"] == f"{store.url}/link/{STRICT}"


def test_without_a_login_provider_the_page_says_what_to_set_or_to_run(tmp_path: Path) -> None:
    address = Address()
    url = address.url
    with serving_locally(address, {"DEVELOPMENT": True, "PUBLIC_URL": url, "INSTANCE_PATH": str(tmp_path)}):
        page = Browser().get(f"{url}/api/oidc/login")

    assert "<h1>Nobody can log in here yet</h1>" in page.text
    assert "OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET. To try the store, run make demo." in page.text


def test_an_error_page_says_how_long_to_wait_where_that_is_known(person: StorePerson, store: Store) -> None:
    link_id = person.link(STRICT)
    store.let_pass(4000)
    knobs = store.providers[STRICT].knobs
    knobs.set(Fault.STATUS, 503)
    knobs.set(Fault.RETRY_AFTER, 890)

    answer = person.session_call("POST", f"/links/{link_id}/token", headers={"Accept": "text/html"})

    assert answer.status == 503
    assert "<p>Try again in 15 minutes.</p>" in answer.text


@pytest.mark.parametrize("path", ["/links/{id}", "/links/{id}/token"])
def test_an_address_of_a_link_that_is_no_page_leads_to_the_accounts(person: StorePerson, path: str) -> None:
    path = path.format(id=person.link(STRICT))

    answer = person.session_call("GET", path)

    assert (answer.status, answer.headers["Location"]) == (303, "/")


def test_an_answer_that_comes_too_late_leads_elsewhere_by_a_page_of_ours(tmp_path: Path) -> None:
    with local_store(tmp_path, RETURN_URL_ORIGINS=["https://ui.example"]) as store:
        person = store.person()
        person.link(STRICT)
        begun = person.callback(STRICT, person.other_account, return_url="https://ui.example/done", result="query")
        asked = person.browser.get(begun, within=store.origin)
        form = asked.form("choice")
        assert form is not None
        store.let_pass(601)

        told = "https://ui.example/done?result=error&provider=idp1&error=attempt-expired"
        assert person.browser.get(asked.url, within=store.origin).location == told
        assert person.browser.submit(form, choice="cancel").refresh == told

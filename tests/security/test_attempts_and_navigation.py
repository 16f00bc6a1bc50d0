"""What is used up by opening a page is not used up by anything else, and an attempt belongs to one login."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from demo.client import call
from demo.config import Account
from demo.person import Person
from demo.world import STRICT
from support.store import Store, StorePerson
from tokenstore.store.tables import audit_event, link_attempt, session

NOT_A_PAGE = {
    "prefetch": {"Sec-Purpose": "prefetch"},
    "image": {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"},
    "frame": {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"},
    "fetch": {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
}
ONE_TIME = ("/api/oidc/login", "/api/oidc/redirect_uri?state=x", f"/api/v1.0/{STRICT}/redirect_uri?state=x")


@pytest.mark.parametrize("path", ONE_TIME)
@pytest.mark.parametrize("headers", NOT_A_PAGE.values(), ids=NOT_A_PAGE)
def test_what_is_no_opened_page_uses_nothing_up(store: Store, path: str, headers: dict[str, str]) -> None:
    before = [len(store.rows(table)) for table in (link_attempt, session, audit_event)]

    answer = call(store.url, "GET", path, headers=headers)

    assert answer.slug == "invalid-request"
    assert [len(store.rows(table)) for table in (link_attempt, session, audit_event)] == before


@pytest.mark.parametrize("path", ONE_TIME)
def test_head_uses_nothing_up(store: Store, path: str) -> None:
    before = len(store.rows(link_attempt))

    assert call(store.url, "HEAD", path).status == 405
    assert len(store.rows(link_attempt)) == before


def test_head_of_a_callback_leaves_the_attempt_for_the_person(person: StorePerson) -> None:
    person.log_in()
    callback = person.callback(STRICT)

    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(urllib.request.Request(callback, method="HEAD"), timeout=10)  # noqa: S310

    assert person.browser.get(callback).status == 200
    assert person.authorization(STRICT)["active"]


def test_a_login_begun_before_a_login_cannot_be_finished_after_it(store: Store, person: StorePerson) -> None:
    stranger = store.person()
    begun = person.browser.get(f"{store.url}/api/oidc/login", within=store.url)
    assert begun.location is not None
    callback = Person(stranger.login).approve(begun.location)
    person.log_in()

    page = person.browser.get(callback)

    assert page.status == 400
    assert person.session_call("GET", "/api/whoami").json()["id"] == person.login.subject


@pytest.mark.parametrize("path", ["/api/oidc/redirect_uri", f"/api/v1.0/{STRICT}/redirect_uri"])
def test_the_address_of_a_refused_callback_is_not_passed_on(store: Store, path: str) -> None:
    answer = call(store.url, "GET", f"{path}?state=x&code=y", headers={"Accept": "text/html"})

    assert answer.status == 400
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_claim_beyond_64_bits_does_not_keep_anybody_out(person: StorePerson) -> None:
    person.login = Account.named("somebody-with-a-large-claim", claims={"n": 2**70})
    person.store.world.login.state.enrol(person.login)

    person.log_in()

    assert person.session_call("GET", "/api/whoami").json()["claims"]["n"] == 2**70


def test_a_form_is_no_way_to_ask_the_api(person: StorePerson) -> None:
    person.log_in()
    link = person.link(STRICT)
    body = f"link={link}".encode()

    request = urllib.request.Request(  # noqa: S310  (our own http address)
        f"{person.store.url}/api/v1.0/{STRICT}/revoke",
        data=body,
        headers={"Authorization": f"Bearer {person.bearer()}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)  # noqa: S310

    assert person.authorization(STRICT)["active"]

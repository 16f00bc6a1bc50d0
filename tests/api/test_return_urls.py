"""Every known trick with return addresses ends at our own default page, wherever an address can be offered."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from demo.browser import Browser
from demo.person import Person
from support.store import API, Store, StorePerson

DATA = Path(__file__).parents[1] / "security" / "data" / "redirect_payloads.json"
PAYLOADS: list[str] = [row["payload"] for row in json.loads(DATA.read_text())]
HEADER_PAYLOADS = [payload for payload in PAYLOADS if payload.isascii() and payload.isprintable()]


@pytest.fixture(scope="module")
def person(shared_store: Store) -> StorePerson:
    """Somebody who is logged in; nothing here changes that."""
    somebody = shared_store.person()
    somebody.log_in()
    return somebody


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_login_ends_at_the_default_page(store: Store, payload: str) -> None:
    assert store.person().log_in(payload).url == f"{store.url}/"


@pytest.mark.parametrize("payload", HEADER_PAYLOADS)
def test_a_login_is_not_led_astray_by_its_referer(store: Store, payload: str) -> None:
    somebody = store.person()
    page = somebody.browser.get(f"{store.url}/api/oidc/login", headers={"Referer": payload})

    assert Person(somebody.login, somebody.browser).answer(page).url == f"{store.url}/"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_linking_from_the_start_page_would_come_back_to_the_default_page(
    store: Store, person: StorePerson, payload: str
) -> None:
    page = person.browser.get(f"{store.url}/link/idp1?" + urlencode({"return_url": payload}))

    form = page.form("return_url")
    assert form is not None
    assert form.fields["return_url"] == "/"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_program_is_refused(person: StorePerson, payload: str) -> None:
    answer = person.call("POST", f"{API}/idp1/authorize", json_body={"return_url": payload})

    assert answer.status == 400
    assert answer.slug in {"return-url-refused", "invalid-request"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_linking_by_a_link_ends_at_the_default_page(store: Store, person: StorePerson, payload: str) -> None:
    query = urlencode({"return_url": payload})
    begun = person.browser.get(f"{store.url}{API}/idp1/authorize?{query}", within=store.url)

    back = Person(person.account, person.browser).approve(str(begun.location))

    assert person.browser.get(back).url == f"{store.url}/"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_log_out_page_would_come_back_to_the_default_page(store: Store, payload: str) -> None:
    page = Browser().get(f"{store.url}/api/oidc/logout?" + urlencode({"return_url": payload}))

    form = page.form("return_url")
    assert form is not None
    assert form.fields["return_url"] == "/"

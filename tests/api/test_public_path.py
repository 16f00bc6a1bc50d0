"""A store whose PUBLIC_URL has a path: every address it gives out lies below."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.person import Person
from support.store import API, Store, local_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store at /tokens."""
    with local_store(tmp_path_factory.mktemp("store"), path="/tokens") as running:
        yield running


def test_login_and_linking_end_below_the_path(store: Store) -> None:
    person = store.person()

    assert person.log_in().url == f"{store.url}/"
    assert person.browser.get(person.callback("idp1")).url == f"{store.url}/"
    assert person.token("idp1").status == 200


def test_linking_from_the_start_page_works_below_the_path(store: Store) -> None:
    person = store.person()
    person.log_in()
    form = person.browser.get(f"{store.url}/link/idp1").form("return_url")
    assert form is not None

    onward = person.browser.submit(form)

    assert form.action == f"{store.url}/link/idp1"
    page = Person(person.account, person.browser).answer(person.browser.get(str(onward.refresh)))
    assert page.url == f"{store.url}/"


def test_addresses_in_answers_lie_below_the_path(store: Store) -> None:
    person = store.person()

    assert person.token("idp1").json()["authorize_url"] == f"{store.url}/link/idp1"
    assert person.authorization("idp1")["actions"]["token"] == f"{store.url}{API}/idp1/token"


@pytest.mark.parametrize("path", ["/healthz", "/static/style.css"])
def test_what_has_no_state_is_served_below_the_path(store: Store, path: str) -> None:
    assert store.call("GET", path).status == 200


def test_logout_comes_back_below_the_path(store: Store) -> None:
    person = store.person()
    person.log_in()

    assert person.log_out().url == f"{store.url}/"

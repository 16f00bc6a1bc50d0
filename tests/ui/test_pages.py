"""The pages over HTTP, without a browser: who sees what, what is refused, what is never kept."""

from __future__ import annotations

import pytest

from demo.config import Account
from demo.world import STRICT
from support.store import Store, StorePerson


def test_a_stranger_sees_what_the_store_is_and_one_way_in(store: Store, person: StorePerson) -> None:
    page = person.browser.get(store.url)

    assert "gets a fresh access token" in page.text
    assert [url for url, text in page.links if text == "Log in"] == [f"{store.url}/api/oidc/login?return_url=%2F"]


def test_the_page_with_a_token_is_never_kept(person: StorePerson, store: Store) -> None:
    person.link(STRICT)
    form = next(form for form in person.browser.get(store.url).forms if form.action.endswith("/token"))

    page = person.browser.submit(form)

    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("action", ["token", "unlink"])
def test_an_action_without_proof_of_our_own_page_is_refused(person: StorePerson, action: str) -> None:
    link_id = person.link(STRICT)

    answer = person.session_call("POST", f"/links/{link_id}/{action}", headers={"Origin": "https://evil.example"})

    assert answer.status == 403
    assert len(person.authorization(STRICT)["links"]) == 1


@pytest.mark.parametrize("path", [f"/link/{STRICT}", "/links/{id}/token", "/links/{id}/unlink"])
def test_an_action_of_a_stranger_is_answered_by_a_page_with_the_way_in(
    person: StorePerson, store: Store, path: str
) -> None:
    path = path.format(id=person.link(STRICT))

    answer = store.call("POST", path)

    assert answer.status == 401
    assert "Log in</a>" in answer.text


@pytest.mark.parametrize(("method", "action"), [("GET", "unlink"), ("POST", "token")])
def test_the_link_of_another_person_is_not_found(person: StorePerson, store: Store, method: str, action: str) -> None:
    foreign = store.person().link(STRICT)
    person.log_in()

    assert person.session_call(method, f"/links/{foreign}/{action}").status == 404


def test_unlinking_the_link_of_another_person_leaves_it_alone(person: StorePerson, store: Store) -> None:
    other = store.person()
    foreign = other.link(STRICT)
    person.log_in()

    assert person.session_call("POST", f"/links/{foreign}/unlink").status == 303
    assert other.token(STRICT).status == 200


@pytest.mark.parametrize("provider_id", ["nowhere", "oidc", "register", "_clients"])
def test_the_start_page_of_an_unknown_provider_is_not_found(person: StorePerson, provider_id: str) -> None:
    person.log_in()

    answer = person.session_call("GET", f"/link/{provider_id}", headers={"Accept": "text/html"})

    assert answer.status == 404
    assert "Unknown provider" in answer.text


def test_a_refused_return_address_becomes_the_index_and_is_not_repeated(person: StorePerson, store: Store) -> None:
    person.log_in()

    page = person.browser.get(f"{store.url}/link/{STRICT}?return_url=https://evil.example/")

    form = page.form("return_url")
    assert form is not None
    assert form.fields["return_url"] == "/"
    assert "evil.example" not in page.text


def test_what_a_provider_says_of_an_account_is_text_and_never_markup(person: StorePerson, store: Store) -> None:
    hostile = Account("mallory", "666", "Mallory", "<script>alert(1)</script>@example.org")
    store.providers[STRICT].state.enrol(hostile)
    person.link(STRICT, hostile)

    page = person.browser.get(store.url)

    assert "<script" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text

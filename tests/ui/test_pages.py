"""The pages over HTTP, without a browser: who sees what, what is refused, what is never kept."""

from __future__ import annotations

import pytest

from demo.config import Account
from demo.knobs import Fault
from demo.world import STRICT
from support.store import Store, StorePerson
from support.waiting import eventually


def test_a_stranger_sees_what_the_store_is_and_one_way_in(store: Store, person: StorePerson) -> None:
    page = person.browser.get(store.url)

    assert "gets a fresh access token" in page.text
    assert [url for url, text in page.links if text == "Log in"] == [f"{store.url}/api/oidc/login?return_url=%2F"]


def test_a_style_sheet_that_is_known_is_not_sent_again(store: Store) -> None:
    first = store.call("GET", "/static/style.css")

    again = store.call("GET", "/static/style.css", headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status, again.status, again.text) == (200, 304, "")
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"


def test_the_page_with_a_token_is_never_kept(person: StorePerson, store: Store) -> None:
    person.link(STRICT)
    form = next(form for form in person.browser.get(store.url).forms if form.action.endswith("/token"))

    page = person.browser.submit(form)

    assert page.headers["Cache-Control"] == "no-store"


def test_the_page_says_that_a_provider_gives_no_tokens_at_present_and_that_the_link_is_kept(
    person: StorePerson, store: Store
) -> None:
    person.link(STRICT)
    other = store.person()
    other.link(STRICT)
    store.let_pass(4000)
    store.providers[STRICT].knobs.set(Fault.ERROR, "invalid_client")
    eventually(lambda: other.token(STRICT).slug == "provider-misconfigured", "a refusal of the store")

    page = person.browser.get(store.url)

    assert "The provider gives no tokens at present. The link is kept" in page.text


def test_linking_another_account_is_told_from_linking_the_first(person: StorePerson, store: Store) -> None:
    person.link(STRICT)

    first, another = (person.browser.get(f"{store.url}/link/{STRICT}{query}") for query in ("", "?account=another"))

    assert "Log in there with the other account." not in first.text
    assert "Log in there with the other account." in another.text


@pytest.mark.parametrize("path", ["/", "/?from=there", "/sessions"])
@pytest.mark.parametrize("absolute", [True, False])
def test_what_came_of_a_linking_is_said_where_it_ends(
    person: StorePerson, store: Store, path: str, absolute: bool
) -> None:
    person.log_in()
    return_url = store.url + path if absolute else path

    page = person.browser.get(person.callback(STRICT, return_url=return_url), within=store.origin)

    assert page.url == store.url + path
    assert "is linked." in page.text


def test_what_came_of_a_linking_is_not_said_later_on_another_page(person: StorePerson, store: Store) -> None:
    person.log_in()
    person.browser.get(person.callback(STRICT, return_url=f"/link/{STRICT}"), within=store.origin)

    assert "is linked." not in person.browser.get(store.url).text


def test_what_was_said_to_a_question_is_not_told_later_on_another_page(person: StorePerson, store: Store) -> None:
    person.link(STRICT)
    back = person.callback(STRICT, person.other_account, return_url=f"/link/{STRICT}")
    asked = person.browser.get(back, within=store.origin).form("choice")
    assert asked is not None
    person.browser.submit(asked, within=store.origin, choice="cancel")

    assert "Nothing was linked or changed" not in person.browser.get(store.url).text


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

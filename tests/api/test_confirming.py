"""Another account than the linked one: the page that names both, its answers, and what waits in the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.browser import Page
from support.store import Store, StorePerson, local_store
from tokenstore.store.tables import link_waiting


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who has linked an account."""
    somebody = store.person()
    somebody.link("idp1")
    return somebody


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store where one account may be linked at idp1."""
    with local_store(tmp_path_factory.mktemp("single"), IDP1_MULTI_ACCOUNT=False) as running:
        yield running


def come_back(person: StorePerson, **begun: str) -> Page:
    """Come back from the provider with the other account."""
    return person.browser.get(person.callback("idp1", person.other_account, **begun), within=person.store.origin)


def answer(person: StorePerson, page: Page, choice: str) -> Page:
    """Press a button of the page that asks."""
    form = page.form("choice")
    assert form is not None, page.text
    value = next(value for _, value in form.buttons if value.startswith(choice))
    return person.browser.submit(form, within=person.store.origin, choice=value)


def linked(person: StorePerson) -> list[str]:
    """The subjects that are linked, the default one first."""
    return [one["account"]["subject"] for one in person.authorization("idp1")["links"]]


def test_the_page_names_both_accounts_and_nothing_is_linked_yet(person: StorePerson) -> None:
    page = come_back(person)

    assert page.status == 200
    assert str(person.account.email) in page.text
    assert str(person.other_account.email) in page.text
    assert f"If <strong>{person.other_account.email}</strong> is not an account of yours, cancel" in page.text
    assert linked(person) == [person.account.subject]


def test_what_waits_is_sealed(store: Store, person: StorePerson) -> None:
    come_back(person)

    kept = [bytes(row["sealed"]) for row in store.rows(link_waiting)]
    assert kept
    assert not any(person.other_account.subject.encode() in sealed for sealed in kept)


def test_adding_goes_on_to_where_it_was_begun(store: Store, person: StorePerson) -> None:
    page = answer(person, come_back(person, return_url="/?a=b"), "add")

    assert page.url == f"{store.url}/?a=b"
    assert linked(person) == [person.account.subject, person.other_account.subject]
    assert store.audit(person)[-2:] == [("link.waiting", None), ("link.created", None)]


def test_replacing_leaves_the_new_account_alone_as_default(store: Store, person: StorePerson) -> None:
    answer(person, come_back(person), "replace")

    assert linked(person) == [person.other_account.subject]
    assert person.authorization("idp1")["status"] == "ok"
    assert all(grant.revoked for grant in store.providers["idp1"].state.grants(person.account.subject))


def test_cancelling_changes_nothing_and_says_so(store: Store, person: StorePerson) -> None:
    page = answer(person, come_back(person, return_url="/", result="query"), "cancel")

    assert page.url == f"{store.url}/?result=error&provider=idp1&error=link-denied"
    assert "Nothing was linked or changed." in page.text
    assert linked(person) == [person.account.subject]
    assert all(grant.revoked for grant in store.providers["idp1"].state.grants(person.other_account.subject))


def test_an_answer_counts_once(person: StorePerson) -> None:
    page = come_back(person)
    answer(person, page, "add")

    assert answer(person, page, "cancel").status == 400
    assert linked(person) == [person.account.subject, person.other_account.subject]


def test_another_person_cannot_answer(store: Store, person: StorePerson) -> None:
    page = come_back(person)
    other = store.person()
    other.log_in()

    assert other.browser.get(page.url).status == 400
    assert other.session_call("POST", page.url.removeprefix(store.url)).status == 400
    assert linked(person) == [person.account.subject]


def test_after_ten_minutes_it_is_over_and_a_late_answer_gives_it_back(single: Store) -> None:
    person = single.person()
    person.link("idp1")
    page = come_back(person)
    single.let_pass(601)

    assert person.browser.get(page.url).status == 400
    assert answer(person, page, "replace").status == 400
    assert all(grant.revoked for grant in single.providers["idp1"].state.grants(person.other_account.subject))


@pytest.mark.parametrize("step", ["page", "answer"])
def test_an_answer_that_comes_too_late_is_told_to_who_asked_for_it(single: Store, step: str) -> None:
    person = single.person()
    person.link("idp1")
    page = come_back(person, return_url="/?a=b", result="query")
    single.let_pass(601)

    end = person.browser.get(page.url, within=single.origin) if step == "page" else answer(person, page, "replace")

    assert (end.status, end.url) == (200, f"{single.url}/?a=b&result=error&provider=idp1&error=attempt-expired")
    assert "is too old" in end.text
    assert linked(person) == [person.account.subject]
    if step == "answer":
        assert all(grant.revoked for grant in single.providers["idp1"].state.grants(person.other_account.subject))


def test_a_choice_that_is_not_open_leaves_the_question(person: StorePerson) -> None:
    page = come_back(person, return_url="/", result="query")
    form = page.form("choice")
    assert form is not None

    end = person.browser.submit(form, within=person.store.origin, choice="replace")

    assert (end.status, end.url) == (400, page.url)
    answer(person, page, "add")
    assert linked(person) == [person.account.subject, person.other_account.subject]


def test_where_one_account_is_allowed_the_page_offers_no_second(single: Store) -> None:
    person = single.person()
    person.link("idp1")

    page = come_back(person)
    form = page.form("choice")
    assert form is not None
    assert sorted(value for _, value in form.buttons) == ["cancel", "replace"]

    answer(person, page, "replace")
    assert linked(person) == [person.other_account.subject]


def test_an_address_elsewhere_is_reached_by_a_page_of_ours(tmp_path: Path) -> None:
    with local_store(tmp_path, RETURN_URL_ORIGINS=["https://ui.example"]) as store:
        person = store.person()
        person.link("idp1")

        page = answer(person, come_back(person, return_url="https://ui.example/done", result="query"), "add")

        assert page.refresh == "https://ui.example/done?result=ok&provider=idp1"

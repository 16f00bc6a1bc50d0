"""Names of links and the choice of the default one, by programs and on the page."""

from __future__ import annotations

import pytest

from support.store import API, Store, StorePerson


def test_a_program_names_a_link_and_makes_it_the_default(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    second = person.link("idp1", person.other_account)

    answer = person.call("PATCH", f"{API}/links/{second}", json_body={"label": "Work", "default": True})

    assert answer.status == 200, answer.text
    changed = answer.json()
    assert (changed["id"], changed["label"], changed["default"], changed["provider"]) == (second, "Work", True, "idp1")
    assert person.token("idp1").json()["link"] == second
    assert [action for action, _ in store.audit(person)][-2:] == ["link.named", "link.default"]


def test_a_label_is_taken_away_by_null(person: StorePerson) -> None:
    link = person.link("idp1")
    person.call("PATCH", f"{API}/links/{link}", json_body={"label": "Work"})

    assert person.call("PATCH", f"{API}/links/{link}", json_body={"label": None}).json()["label"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"label": 7}, "label"),
        ({"label": "x" * 65}, "label"),
        ({"default": False}, "default"),
        ({"state": "x"}, "state"),
    ],
)
def test_a_change_that_is_not_valid_is_named(person: StorePerson, body: dict[str, object], pointer: str) -> None:
    link = person.link("idp1")

    answer = person.call("PATCH", f"{API}/links/{link}", json_body=body)

    assert (answer.status, [problem["pointer"] for problem in answer.json()["errors"]]) == (400, [pointer])


def test_the_link_of_another_person_is_not_found(store: Store, person: StorePerson) -> None:
    theirs = store.person().link("idp1")

    answer = person.call("PATCH", f"{API}/links/{theirs}", json_body={"label": "Mine"})

    assert (answer.status, answer.slug) == (404, "not-found")


def test_another_site_cannot_choose(person: StorePerson) -> None:
    link = person.link("idp1")
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    answer = person.session_call("PATCH", f"{API}/links/{link}", headers=foreign, json_body={"default": True})

    assert (answer.status, answer.slug) == (403, "csrf")


def test_a_person_names_and_chooses_on_the_page(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    second = person.link("idp1", person.other_account)
    page = person.browser.get(f"{store.url}/")

    naming = next(form for form in page.forms if form.action.endswith(f"/links/{second}/label"))
    page = person.browser.submit(naming, label="<b>Work</b>")
    choosing = next(form for form in page.forms if form.action.endswith(f"/links/{second}/default"))
    page = person.browser.submit(choosing)

    assert "&lt;b&gt;Work&lt;/b&gt;" in page.text
    assert "<b>Work</b>" not in page.text
    assert [one["default"] for one in person.authorization("idp1")["links"] if one["id"] == second] == [True]

"""`GET /providers`, `GET /links` by pages, and `/links/{link}/token`."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from demo.config import Account
from support.store import API, Store, StorePerson


def linked(person: StorePerson, count: int) -> set[str]:
    """Ids of this many links, at two providers."""
    ids = {person.link("forge")}
    for number in range(count - 1):
        account = Account.named(f"{person.login.username}-{number}")
        person.store.providers["idp1"].state.enrol(account)
        ids.add(person.link("idp1", account))
    return ids


def pages(person: StorePerson, path: str) -> list[list[str]]:
    """Ids of all pages from this one on."""
    found: list[list[str]] = []
    address: str | None = path
    while address is not None:
        page = person.call("GET", address).json()
        found.append([link["id"] for link in page["links"]])
        address = page["next"] and page["next"].removeprefix(person.store.url)
    return found


def test_providers_are_listed_in_their_order_without_anybody_s_links(store: Store, person: StorePerson) -> None:
    person.link("idp1")

    answer = person.call("GET", f"{API}/providers").json()

    assert [item["provider"] for item in answer] == list(store.providers)
    assert answer[0].keys() == {"provider", "issuer", "scopes", "actions", "link_url", "metadata"}
    assert answer[0]["link_url"] == f"{store.url}/link/idp1"


def test_a_list_of_providers_that_is_known_is_not_sent_again(person: StorePerson) -> None:
    first = person.call("GET", f"{API}/providers")

    again = person.call("GET", f"{API}/providers", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "private, no-cache"


def test_an_unknown_caller_is_not_told_that_the_list_of_providers_is_the_same(
    store: Store, person: StorePerson
) -> None:
    known = person.call("GET", f"{API}/providers").headers["ETag"]

    assert store.call("GET", f"{API}/providers", headers={"If-None-Match": known}).status == 401


def test_links_of_all_providers_come_a_page_at_a_time(person: StorePerson) -> None:
    ids = linked(person, 3)

    found = pages(person, f"{API}/links?limit=2")

    assert [len(page) for page in found] == [2, 1]
    assert [id_ for page in found for id_ in page] == sorted(ids, key=UUID)


def test_a_page_that_is_exactly_full_is_the_last(person: StorePerson) -> None:
    linked(person, 2)

    assert [len(page) for page in pages(person, f"{API}/links?limit=2")] == [2]


def test_the_next_page_is_the_same_when_the_last_link_of_this_one_is_gone(person: StorePerson) -> None:
    linked(person, 3)
    page = person.call("GET", f"{API}/links?limit=1").json()
    person.call("DELETE", f"{API}/links/{page['links'][0]['id']}")

    rest = pages(person, page["next"].removeprefix(person.store.url))

    assert [rest[0] + rest[1]] == pages(person, f"{API}/links")


def test_who_linked_nothing_has_an_empty_page(person: StorePerson) -> None:
    assert person.call("GET", f"{API}/links").json() == {"links": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=-1", "limit=x", "after=x", "colour=red"])
def test_a_wrong_parameter_of_the_list_is_named(person: StorePerson, query: str) -> None:
    answer = person.call("GET", f"{API}/links?{query}")

    assert (answer.status, answer.slug) == (400, "invalid-request")
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_token_of_a_link_is_the_one_by_its_provider(person: StorePerson, method: str) -> None:
    link = person.link("idp1")

    answer = person.call(method, f"{API}/links/{link}/token")

    assert answer.status == 200, answer.text
    assert answer.json()["access_token"] == person.token("idp1", link=link).json()["access_token"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_token_of_a_link_takes_no_other_link(person: StorePerson) -> None:
    link = person.link("idp1")

    assert person.call("GET", f"{API}/links/{link}/token?link={link}").slug == "invalid-request"


def test_the_token_of_somebody_else_s_link_is_not_found(store: Store, person: StorePerson) -> None:
    foreign = store.person().link("idp1")

    theirs = person.call("GET", f"{API}/links/{foreign}/token")
    none = person.call("GET", f"{API}/links/{uuid4()}/token")

    assert (theirs.status, theirs.slug, theirs.json()["detail"]) == (none.status, none.slug, none.json()["detail"])
    assert theirs.slug == "not-found"


def test_another_site_gets_no_token_of_a_link_with_a_session(person: StorePerson) -> None:
    link = person.link("idp1")

    answer = person.session_call("GET", f"{API}/links/{link}/token", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.slug == "csrf"

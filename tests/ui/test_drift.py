"""What the pages say when permissions drift, when nothing can be refreshed, and what the operator can do about it."""

from __future__ import annotations

from uuid import UUID

from demo.browser import Page
from demo.knobs import Fault
from support.store import Store, StorePerson
from support.urls import query_of
from tokenstore.store.tables import link


def ways(page: Page, text: str) -> list[str]:
    """Where the links whose text begins so lead."""
    return [url for url, said in page.links if said.startswith(text)]


def test_permissions_that_came_since_are_named_and_linking_again_brings_them(store: Store, person: StorePerson) -> None:
    linked = person.link("idp1")
    store.change(link, link.c.id == UUID(linked), scopes_requested="openid", scopes_granted="openid")
    page = person.browser.get(f"{store.url}/")

    [again] = ways(page, "Link again for the new permissions")
    assert "More can be allowed now than when the account was linked: <code>email</code>" in page.text
    start = person.browser.get(again)
    form = start.form("return_url")
    assert form is not None
    assert start.text.count(">New<") == 2

    leads_to = str(person.browser.submit(form).refresh)

    assert query_of(leads_to)["login_hint"] == person.account.email
    page = person.browser.get(person.at_provider().approve(leads_to))
    assert ways(page, "Link again") == []
    assert [one["scope_status"] for one in person.authorization("idp1")["links"]] == ["ok"]


def test_the_link_that_drifted_is_the_one_to_link_again(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    second = person.link("idp1", person.other_account)
    store.change(link, link.c.id == UUID(second), scopes_requested="openid", scopes_granted="openid")

    item = person.authorization("idp1")
    [again] = ways(person.browser.get(f"{store.url}/"), "Link again")

    assert item["scope_status"] == "ok"
    assert {one["id"]: one["scope_status"] for one in item["links"]}[second] == "outdated"
    assert query_of(again)["link"] == second


def test_a_link_that_cannot_be_refreshed_says_until_when_it_goes(store: Store, person: StorePerson) -> None:
    linked = person.link("idp1")
    store.change(link, link.c.id == UUID(linked), refresh_sealed=None)

    page = person.browser.get(f"{store.url}/")

    assert "Demo provider 1 gave nothing to refresh it with: link again from <time" in page.text


def test_the_page_about_no_lasting_access_tells_the_operator_the_mend(store: Store, person: StorePerson) -> None:
    person.log_in()
    store.providers["idp1"].knobs.set(Fault.NO_REFRESH_TOKEN, True)

    page = person.browser.get(person.callback("idp1"), within=store.url)

    assert page.status == 400
    assert "For the operator:" in page.text
    assert all(row in page.text for row in ("SCOPE", "AUTHORIZE_PARAMS", "REFRESH_MODE"))

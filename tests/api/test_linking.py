"""Beginning to link, coming back, and what a link looks like afterwards."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from demo.person import Person
from support.store import API, Store, StorePerson
from support.urls import query_of

ALLOWED = "https://ui.example"


def test_a_program_begins_with_201_and_the_providers_address(store: Store, person: StorePerson) -> None:
    answer = person.call("POST", f"{API}/idp1/authorize")

    assert answer.status == 201
    assert answer.headers["Location"].startswith(f"{store.providers['idp1'].issuer}/authorize?")
    assert answer.json()["authorize_url"] == answer.headers["Location"]


def test_linking_asks_for_a_code_with_pkce_state_and_nonce(store: Store, person: StorePerson) -> None:
    asked = query_of(person.begin("idp1"))

    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{store.url}{API}/idp1/redirect_uri"
    assert asked["scope"].split() == ["openid", "email", "offline_access"]
    assert all(len(asked[name]) >= 43 for name in ("state", "nonce", "code_challenge"))


def test_plain_oauth2_is_linked_with_pkce_too(person: StorePerson) -> None:
    assert query_of(person.begin("forge"))["code_challenge_method"] == "S256"


@pytest.mark.parametrize("provider_id", ["idp1", "forge", "slow"])
def test_a_link_ends_at_the_landing_page_and_gives_tokens(store: Store, person: StorePerson, provider_id: str) -> None:
    person.log_in()

    page = person.browser.get(person.callback(provider_id))

    assert page.url == f"{store.url}/"
    assert person.token(provider_id).status == 200


def test_a_link_is_audited(store: Store, person: StorePerson) -> None:
    person.link("idp1")

    assert ("link.created", None) in store.audit(person)


@pytest.mark.parametrize("return_url", ["/", "/link/forge?a=b#c", "/?x=%20"])
def test_linking_comes_back_to_exactly_where_it_began(store: Store, person: StorePerson, return_url: str) -> None:
    person.log_in()

    page = person.browser.get(person.callback("idp1", return_url=return_url), within=store.url)

    assert page.url == f"{store.url}{return_url}" or page.location == f"{store.url}{return_url}"


def test_the_reference_name_of_the_return_address_works(store: Store, person: StorePerson) -> None:
    person.log_in()

    page = person.browser.get(person.callback("idp1", referer="/link/forge"))

    assert page.url == f"{store.url}/link/forge"


@pytest.mark.parametrize(
    "return_url",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/api/oidc/logout", " /", "/a/../b"],
)
def test_a_program_is_told_that_its_return_address_is_refused(person: StorePerson, return_url: str) -> None:
    answer = person.call("POST", f"{API}/idp1/authorize", json_body={"return_url": return_url})

    assert answer.status == 400
    assert answer.slug in {"return-url-refused", "invalid-request"}
    assert "evil" not in answer.text


@pytest.mark.parametrize("body", [{"return_url": ["/"]}, {"return_url": "/", "referer": {}}])
def test_a_return_address_that_is_no_text_is_named(person: StorePerson, body: dict[str, object]) -> None:
    answer = person.call("POST", f"{API}/idp1/authorize", json_body=body)

    assert (answer.status, answer.slug) == (400, "invalid-request")
    assert [problem["pointer"] for problem in answer.json()["errors"]] == list(body)[-1:]


def test_the_reference_call_redirects_a_browser_that_comes_from_our_page(store: Store, person: StorePerson) -> None:
    person.log_in()

    page = person.browser.get(
        f"{store.url}{API}/idp1/authorize", headers={"Sec-Fetch-Site": "same-origin"}, within=store.url
    )

    assert page.status == 302
    assert str(page.location).startswith(f"{store.providers['idp1'].issuer}/authorize?")


def test_a_refused_return_address_in_a_browser_becomes_the_landing_page(store: Store, person: StorePerson) -> None:
    person.log_in()
    query = urlencode({"return_url": "https://evil.example/"})
    begun = person.browser.get(f"{store.url}{API}/idp1/authorize?{query}", within=store.url)

    page = person.browser.get(Person(person.account, person.browser).approve(str(begun.location)))

    assert page.url == f"{store.url}/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"},
    ],
)
def test_another_site_cannot_begin_a_link(store: Store, person: StorePerson, headers: dict[str, str]) -> None:
    person.log_in()

    page = person.browser.get(f"{store.url}{API}/idp1/authorize", headers=headers, within=store.url)

    assert page.url.startswith(f"{store.url}/link/idp1")
    assert page.status == 200


def test_a_page_in_a_browser_without_login_is_no_way_to_link(store: Store, person: StorePerson) -> None:
    page = person.browser.get(f"{store.url}{API}/idp1/authorize", within=store.url)

    assert page.status == 401


def test_linking_the_same_account_again_keeps_its_link(person: StorePerson) -> None:
    first = person.link("idp1")

    assert person.link("idp1") == first
    assert len(person.authorization("idp1")["links"]) == 1


def test_linking_again_replaces_the_tokens(person: StorePerson) -> None:
    person.link("idp1")
    before = person.token("idp1").json()["access_token"]
    person.link("idp1")

    assert person.token("idp1").json()["access_token"] != before


def test_a_new_login_subject_may_link_the_same_account_too(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    other = store.person()

    other.link("idp1", person.account)

    assert other.token("idp1").status == 200
    assert person.token("idp1").status == 200


def test_a_second_account_is_a_second_link_and_the_first_stays_the_default(person: StorePerson) -> None:
    first, second = person.link("idp1"), person.link("idp1", person.other_account)

    links = person.authorization("idp1")["links"]

    assert [(link["id"], link["default"]) for link in links] == [(first, True), (second, False)]


def test_each_link_gives_the_token_of_its_own_account(store: Store, person: StorePerson) -> None:
    ids = [person.link("idp1"), person.link("idp1", person.other_account)]

    tokens = [person.token("idp1", link=link_id).json()["access_token"] for link_id in ids]

    known = [store.providers["idp1"].state.access(token) for token in tokens]
    assert [token.subject for token in known if token] == [person.account.subject, person.other_account.subject]


def test_without_a_link_named_the_default_one_is_meant(person: StorePerson) -> None:
    first = person.link("idp1")
    person.link("idp1", person.other_account)

    assert person.token("idp1").json()["link"] == first

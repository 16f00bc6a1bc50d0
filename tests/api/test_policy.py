"""What settings allow and forbid: scopes and clients of access tokens, tokens for browsers, origins, disabled users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.store import API, Store, StorePerson, local_store
from tokenstore.store.tables import user_account

FRIEND = "https://ui.example"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with every restriction and one trusted origin."""
    with local_store(
        tmp_path_factory.mktemp("store"),
        OIDC_AUDIENCE=["https://store.example/api"],
        OIDC_AUTHORIZED_PARTIES=["notebook"],
        OIDC_REQUIRED_SCOPE="tokens",
        RETURN_URL_ORIGINS=[FRIEND],
        CORS_ORIGINS=[FRIEND],
        SLOW_BROWSER_TOKENS=False,
        IDP1_AUDIENCE_STYLE="audience-repeated",
    ) as running:
        yield running


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who is logged in."""
    somebody = store.person()
    somebody.log_in()
    return somebody


def bearer(person: StorePerson, **changes: str) -> str:
    good = {"audience": "https://store.example/api", "scope": "openid tokens", "client_id": "notebook"}
    return person.bearer(**{**good, **changes})


def test_a_token_that_fulfils_everything_is_taken(store: Store, person: StorePerson) -> None:
    assert store.call("GET", f"{API}/authorizations", bearer=bearer(person)).status == 200


def test_our_client_id_is_no_audience_where_others_are_set(store: Store, person: StorePerson) -> None:
    answer = store.call("GET", f"{API}/authorizations", bearer=bearer(person, audience="tokenstore"))

    assert (answer.status, answer.slug) == (401, "invalid-token")


def test_a_token_of_a_client_that_is_not_listed_is_refused(store: Store, person: StorePerson) -> None:
    answer = store.call("GET", f"{API}/authorizations", bearer=bearer(person, client_id="other"))

    assert (answer.status, answer.slug) == (401, "invalid-token")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/authorizations"),
        ("GET", f"{API}/idp1/token"),
        ("POST", f"{API}/idp1/token"),
        ("POST", f"{API}/idp1/authorize"),
        ("POST", f"{API}/idp1/revoke"),
        ("DELETE", f"{API}/links/00000000-0000-4000-8000-000000000000"),
    ],
)
def test_a_token_without_the_required_scope_may_do_nothing(
    store: Store, person: StorePerson, method: str, path: str
) -> None:
    answer = store.call(method, path, bearer=bearer(person, scope="openid"))

    assert (answer.status, answer.slug) == (403, "policy-denied")


def test_a_browser_needs_no_scope(person: StorePerson) -> None:
    assert person.session_call("GET", f"{API}/authorizations").status == 200


def test_a_provider_may_keep_its_tokens_from_browsers(store: Store, person: StorePerson) -> None:
    begun = person.session_call("POST", f"{API}/slow/authorize")
    person.browser.get(approved(person, begun.headers["Location"]))

    in_browser = person.session_call("GET", f"{API}/slow/token")
    for_program = store.call("GET", f"{API}/slow/token", bearer=bearer(person))

    assert (in_browser.status, in_browser.slug) == (403, "policy-denied")
    assert for_program.status == 200


@pytest.mark.parametrize("return_url", [FRIEND, f"{FRIEND}/done?x=1#y"])
def test_linking_comes_back_to_an_allowed_origin(store: Store, person: StorePerson, return_url: str) -> None:
    begun = person.session_call("POST", f"{API}/idp1/authorize", json_body={"return_url": return_url})

    page = person.browser.get(approved(person, begun.headers["Location"]), within=store.url)

    assert page.headers["Location"] == return_url
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("return_url", [f"{FRIEND}.evil.example", f"{FRIEND}@evil.example", "https://UI.example/"])
def test_what_merely_looks_like_an_allowed_origin_is_refused(
    store: Store, person: StorePerson, return_url: str
) -> None:
    answer = store.call("POST", f"{API}/idp1/authorize", bearer=bearer(person), json_body={"return_url": return_url})

    assert (answer.status, answer.slug) == (400, "return-url-refused")


def test_a_page_of_an_allowed_origin_may_read_the_api(person: StorePerson) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}

    answer = person.session_call("GET", f"{API}/authorizations", headers=headers)

    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", f"{FRIEND}.evil.example", "https://evil.ui.example", f"{FRIEND}:444", "*"],
)
def test_a_page_of_any_other_origin_may_not(person: StorePerson, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}

    answers = [person.session_call(method, f"{API}/authorizations", headers=headers) for method in ("GET", "OPTIONS")]

    assert [answer.headers["Access-Control-Allow-Origin"] for answer in answers] == [None, None]


def test_a_page_of_an_allowed_origin_may_unlink_with_the_session(person: StorePerson) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}

    assert person.session_call("POST", f"{API}/idp1/revoke", headers=headers).status == 200


def test_an_audience_and_resources_go_to_the_provider_in_its_style(store: Store, person: StorePerson) -> None:
    begun = person.session_call("POST", f"{API}/idp1/authorize")
    person.browser.get(approved(person, begun.headers["Location"]))
    query = "audience=api&resource=https%3A%2F%2Fapi.example"

    answer = store.call("GET", f"{API}/idp1/token?{query}", bearer=bearer(person))

    assert (answer.status, answer.json()["cached"]) == (200, False)
    sent = store.providers["idp1"].calls.all("token", "refresh_token")[-1].parameters
    assert [value for name, value in sent if name == "audience"] == ["api", "https://api.example"]


def test_a_disabled_user_gets_nothing(store: Store, person: StorePerson) -> None:
    begun = person.session_call("POST", f"{API}/idp1/authorize")
    person.browser.get(approved(person, begun.headers["Location"]))
    assert store.call("GET", f"{API}/idp1/token", bearer=bearer(person)).status == 200

    store.change(user_account, user_account.c.subject == person.login.subject, disabled_at=user_account.c.created_at)

    assert store.call("GET", f"{API}/idp1/token", bearer=bearer(person)).status != 200
    assert person.session_call("GET", f"{API}/idp1/token").status != 200


def test_a_disabled_user_cannot_log_in(store: Store, person: StorePerson) -> None:
    store.change(user_account, user_account.c.subject == person.login.subject, disabled_at=user_account.c.created_at)
    person.log_out()

    assert person.log_in().status == 403
    assert person.session_call("GET", "/api/whoami").status == 401


def approved(person: StorePerson, location: str) -> str:
    """The callback URL after allowing everything."""
    return person.at_provider().approve(location)

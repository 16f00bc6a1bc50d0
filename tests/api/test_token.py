"""`GET|POST /{provider}/token`: the answer, the cache, the parameters."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from flask import request, request_started

from demo.knobs import Fault
from support.store import API, Store, StorePerson
from support.waiting import eventually

TOKEN = f"{API}/idp1/token"
HOUR_GONE = 4000
CHANGING = {"X-Request-Id", "Date", "Content-Length"}


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody with a link at idp1."""
    somebody = store.person()
    somebody.link("idp1")
    return somebody


def refreshes(store: Store, provider_id: str = "idp1") -> int:
    return store.providers[provider_id].calls.count("token", "refresh_token")


def test_the_answer_has_exactly_its_members(person: StorePerson) -> None:
    answer = person.token("idp1").json()

    assert answer.keys() == {
        *("access_token", "token_type", "expires_in", "expires_at", "scope", "link", "cached", "extra")
    }
    assert (answer["token_type"], answer["scope"], answer["extra"]) == ("Bearer", "email offline_access openid", {})
    assert answer["link"] == person.authorization("idp1")["links"][0]["id"]


def test_a_plain_request_is_answered_as_one_that_says_what_is_meant_anyway(store: Store, person: StorePerson) -> None:
    bearer, reached = person.bearer(scope=store.scope), list[str]()

    def ask(path: str) -> tuple[object, ...]:
        answer = store.call("GET", path, bearer=bearer)
        body, headers = answer.json(), {name: value for name, value in answer.headers.items() if name not in CHANGING}
        return answer.status, headers, {name: value for name, value in body.items() if name != "expires_in"}

    def reach(_app: object, **_: object) -> None:
        reached.append(request.full_path)

    # Plain ones of a program that was here before pass Flask by; those with a parameter do not.
    ask(TOKEN)
    with request_started.connected_to(reach):
        plain, said = ask(TOKEN), ask(f"{TOKEN}?min_valid=60")

    assert reached == [f"{TOKEN}?min_valid=60"]
    assert plain == said


def test_times_are_seconds_with_an_allowance_for_the_way(person: StorePerson) -> None:
    answer = person.token("idp1").json()

    assert 3500 <= answer["expires_in"] <= 3570
    assert abs(answer["expires_at"] - time.time() - answer["expires_in"]) <= 2


def test_the_token_is_the_providers(store: Store, person: StorePerson) -> None:
    token = store.providers["idp1"].state.access(person.token("idp1").json()["access_token"])

    assert token is not None
    assert token.subject == person.account.subject


def test_nobody_may_keep_the_answer(person: StorePerson) -> None:
    assert person.token("idp1").headers["Cache-Control"] == "no-store"


def test_a_fresh_token_is_answered_from_the_cache(store: Store, person: StorePerson) -> None:
    before = refreshes(store)

    first, second = person.token("idp1").json(), person.token("idp1").json()

    assert first["cached"]
    assert second["cached"]
    assert first["access_token"] == second["access_token"]
    assert refreshes(store) == before


def test_an_expired_token_is_refreshed_once(store: Store, person: StorePerson) -> None:
    old, before = person.token("idp1").json(), refreshes(store)
    store.let_pass(HOUR_GONE)

    new, again = person.token("idp1").json(), person.token("idp1").json()

    assert new["access_token"] != old["access_token"]
    assert (new["cached"], again["cached"]) == (False, True)
    assert again["access_token"] == new["access_token"]
    assert refreshes(store) == before + 1


def test_a_rotated_refresh_token_is_the_next_to_be_used(store: Store, person: StorePerson) -> None:
    for _ in range(3):
        store.let_pass(HOUR_GONE)
        assert person.token("idp1").status == 200

    [grant] = store.providers["idp1"].state.grants(person.account.subject)
    assert not grant.revoked


def test_a_browser_session_gets_the_same_token(person: StorePerson) -> None:
    answer = person.session_call("GET", TOKEN)

    assert answer.json()["access_token"] == person.token("idp1").json()["access_token"]


def test_post_takes_its_parameters_as_json(person: StorePerson) -> None:
    [link] = person.authorization("idp1")["links"]

    answer = person.call("POST", TOKEN, json_body={"min_valid": 60, "link": link["id"], "force": False})

    assert (answer.status, answer.json()["link"]) == (200, link["id"])


def test_whole_seconds_may_be_written_with_a_point(person: StorePerson) -> None:
    assert person.call("POST", TOKEN, json_body={"min_valid": 60.0}).status == 200


def test_post_without_a_body_is_a_plain_request(person: StorePerson) -> None:
    assert person.call("POST", TOKEN).status == 200


def test_min_valid_beyond_what_is_left_causes_a_refresh(store: Store, person: StorePerson) -> None:
    store.let_pass(2000)
    assert person.token("idp1").json()["cached"]

    answer = person.token("idp1", min_valid=1700).json()

    assert not answer["cached"]
    assert answer["expires_in"] >= 1700


def test_min_valid_counts_at_most_half_a_lifetime(person: StorePerson) -> None:
    assert person.token("idp1", min_valid=86400).json()["cached"]


def test_a_token_near_its_end_is_replaced_in_the_background(store: Store, person: StorePerson) -> None:
    old, before = person.token("idp1").json(), refreshes(store)
    store.let_pass(3300)

    at_once = person.token("idp1").json()

    assert (at_once["access_token"], at_once["cached"]) == (old["access_token"], True)
    eventually(lambda: person.token("idp1").json()["access_token"] != old["access_token"], "the background refresh")
    assert refreshes(store) == before + 1


def test_force_brings_a_newer_token(store: Store, person: StorePerson) -> None:
    old, before = person.token("idp1").json(), refreshes(store)

    new = person.token("idp1", force="true").json()

    assert new["access_token"] != old["access_token"]
    assert not new["cached"]
    assert refreshes(store) == before + 1


def test_force_is_answered_from_a_refresh_of_the_last_half_minute(store: Store, person: StorePerson) -> None:
    first = person.token("idp1", force="true").json()

    second = person.token("idp1", force="true").json()

    assert (second["access_token"], second["cached"]) == (first["access_token"], True)
    store.let_pass(31)
    assert person.token("idp1", force="true").json()["access_token"] != first["access_token"]


@pytest.mark.parametrize("age", [0, HOUR_GONE])
def test_head_never_refreshes(store: Store, person: StorePerson, age: int) -> None:
    store.let_pass(age)
    before = refreshes(store)

    answer = person.call("HEAD", f"{TOKEN}?force=true")

    assert answer.status in {200, 503}
    assert answer.text == ""
    assert refreshes(store) == before


@pytest.mark.parametrize("age", [0, HOUR_GONE])
def test_a_prefetch_never_refreshes(store: Store, person: StorePerson, age: int) -> None:
    store.let_pass(age)
    before = refreshes(store)

    answer = person.session_call("GET", TOKEN, headers={"Sec-Purpose": "prefetch;prerender"})

    assert answer.status == (503 if age else 200)
    assert refreshes(store) == before


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("min_valid=-1", "min_valid"),
        ("min_valid=abc", "min_valid"),
        ("min_valid=1.5", "min_valid"),
        ("min_valid=86401", "min_valid"),
        ("min_valid=", "min_valid"),
        ("min_valid=1e3", "min_valid"),
        ("min_valid=60&min_valid=61", "min_valid"),
        ("min_valid=%D9%A3", "min_valid"),
        ("force=maybe", "force"),
        ("link=nonsense", "link"),
        ("scope=%00", "scope"),
        (f"scope={'a' * 2049}", "scope"),
        ("audience=a&audience=b", "audience"),
        ("resource=", "resource"),
        ("colour=red", "colour"),
    ],
)
def test_a_wrong_parameter_is_named(person: StorePerson, query: str, pointer: str) -> None:
    answer = person.call("GET", f"{TOKEN}?{query}")

    assert (answer.status, answer.slug) == (400, "invalid-request")
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]


def test_all_wrong_parameters_are_named_at_once(person: StorePerson) -> None:
    answer = person.call("GET", f"{TOKEN}?min_valid=x&force=x&link=x&colour=red")

    named = {problem["pointer"] for problem in answer.json()["errors"]}
    assert named == {"min_valid", "force", "link", "colour"}


@pytest.mark.parametrize(
    "body",
    [
        {"min_valid": "60s"},
        {"min_valid": True},
        {"min_valid": 1.5},
        {"min_valid": 86401.0},
        {"min_valid": [60]},
        {"force": "yes"},
        {"link": 7},
        {"scope": ["openid"]},
        {"resource": [1]},
        {"resource": ["https://r.example"] * 17},
        {"colour": "red"},
    ],
)
def test_a_wrong_member_of_a_body_is_named(person: StorePerson, body: dict[str, object]) -> None:
    answer = person.call("POST", TOKEN, json_body=body)

    assert (answer.status, answer.slug) == (400, "invalid-request")
    assert [problem["pointer"] for problem in answer.json()["errors"]] == list(body)


@pytest.mark.parametrize("body", [[], "text", 1, [{"force": True}]])
def test_a_body_that_is_no_object_is_refused(person: StorePerson, body: object) -> None:
    assert person.call("POST", TOKEN, json_body=body).slug == "invalid-request"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_json_is_refused(person: StorePerson, kind: str) -> None:
    answer = person.call("POST", TOKEN, json_body={"force": True}, headers={"Content-Type": kind})

    assert (answer.status, answer.slug) == (400, "invalid-request")


def test_a_link_that_does_not_exist_is_not_linked(store: Store, person: StorePerson) -> None:
    answer = person.token("idp1", link=str(uuid4()))

    assert (answer.status, answer.slug) == (404, "not-linked")
    assert answer.json()["authorize_url"] == f"{store.url}/link/idp1"


def test_a_link_of_somebody_else_looks_like_none(store: Store, person: StorePerson) -> None:
    [link] = person.authorization("idp1")["links"]

    theirs, none = store.person().token("idp1", link=link["id"]), store.person().token("idp1", link=str(uuid4()))

    assert (theirs.status, theirs.slug, theirs.json()["detail"]) == (none.status, none.slug, none.json()["detail"])
    assert theirs.status == 404


def test_a_link_at_another_provider_is_not_linked_here(person: StorePerson) -> None:
    elsewhere = person.link("slow")

    assert person.token("idp1", link=elsewhere).slug == "not-linked"


def test_who_linked_nothing_is_told_where_to_link(store: Store) -> None:
    answer = store.person().token("idp1")

    assert (answer.status, answer.slug) == (404, "not-linked")
    assert answer.json()["authorize_url"] == f"{store.url}/link/idp1"


def test_the_anonymous_get_no_token(store: Store) -> None:
    answer = store.call("GET", TOKEN)

    assert (answer.status, answer.slug) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tokenstore"'


def test_a_part_of_the_scope_is_asked_of_the_provider_once(store: Store, person: StorePerson) -> None:
    calls = store.providers["idp1"].calls

    first, second = (person.token("idp1", scope="openid").json() for _ in range(2))

    assert (first["scope"], first["cached"], second["cached"]) == ("openid", False, True)
    assert ("scope", "openid") in calls.all("token", "refresh_token")[-1].parameters
    assert person.token("idp1").json()["scope"] == "email offline_access openid"


def test_a_scope_that_was_not_granted_and_is_asked_for_by_linking_leads_there(
    store: Store, person: StorePerson
) -> None:
    store.providers["idp1"].knobs.set(Fault.NARROW_SCOPE, "openid offline_access")
    person.link("idp1")

    answer = person.token("idp1", scope="openid email")

    assert (answer.status, answer.slug) == (403, "scope-not-granted")
    assert answer.json()["authorize_url"] == f"{store.url}/link/idp1"


def test_a_scope_that_linking_does_not_ask_for_is_refused_without_a_call(store: Store, person: StorePerson) -> None:
    before = refreshes(store)

    answer = person.token("idp1", scope="openid profile")

    assert (answer.status, answer.slug) == (403, "scope-not-granted")
    assert "authorize_url" not in answer.json()
    assert "The link does not cover: profile. Ask the operator to add it to SCOPE" in answer.json()["detail"]
    assert refreshes(store) == before


@pytest.mark.parametrize("query", ["audience=api", "resource=https%3A%2F%2Fapi.example"])
def test_an_audience_that_the_provider_does_not_know_of_is_refused(
    store: Store, person: StorePerson, query: str
) -> None:
    before = refreshes(store)

    assert person.call("GET", f"{TOKEN}?{query}").slug == "scope-not-granted"
    assert refreshes(store) == before


def test_a_token_without_an_end_is_served_from_the_cache(store: Store, person: StorePerson) -> None:
    person.link("forge")
    store.let_pass(30 * 24 * 3600)

    answer = person.token("forge").json()

    assert (answer["expires_in"], answer["expires_at"], answer["cached"]) == (None, None, True)


def test_force_cannot_refresh_where_there_is_no_refresh_token(store: Store, person: StorePerson) -> None:
    person.link("forge")
    before = store.providers["forge"].calls.count("token")

    answer = person.token("forge", force="true")

    assert (answer.status, answer.json()["cached"]) == (200, True)
    assert store.providers["forge"].calls.count("token") == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_make_a_browser_fetch_a_token(store: Store, person: StorePerson, site: str) -> None:
    store.let_pass(HOUR_GONE)
    person.log_in()
    before = refreshes(store)

    answer = person.session_call("GET", TOKEN, headers={"Sec-Fetch-Site": site})

    assert (answer.status, answer.slug) == (403, "csrf")
    assert refreshes(store) == before


def test_a_slow_provider_keeps_nobody_waiting_long(store: Store, person: StorePerson) -> None:
    store.let_pass(HOUR_GONE)
    store.providers["idp1"].knobs.set(Fault.LATENCY, 3.0, times=1)
    before, begun = refreshes(store), time.monotonic()

    answer = person.token("idp1")

    assert (answer.status, answer.slug, answer.headers["Retry-After"]) == (503, "refresh-in-progress", "1")
    assert time.monotonic() - begun < 2.9
    eventually(lambda: person.token("idp1").status == 200, "the refresh that goes on")
    assert refreshes(store) == before + 1

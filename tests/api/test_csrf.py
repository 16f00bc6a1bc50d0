"""Unsafe requests with a session need proof that a page of ours sent them; programs have nothing to prove."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from demo.client import Answer
from support.store import API, Store, StorePerson

FOREIGN = "https://evil.example"
UNPROVEN: list[dict[str, str]] = [
    {"Origin": "", "Sec-Fetch-Site": ""},
    {"Origin": FOREIGN, "Sec-Fetch-Site": ""},
    {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": ""},
    {"Origin": "", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "", "Sec-Fetch-Site": "", "X-CSRF-Token": "guessed"},
    {"Origin": "", "Sec-Fetch-Site": "", "Referer": FOREIGN},
]


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who is logged in and has a link."""
    somebody = store.person()
    somebody.link("idp1")
    return somebody


def unsafe_requests(person: StorePerson) -> list[tuple[str, str]]:
    [link] = person.authorization("idp1")["links"]
    return [
        ("POST", f"{API}/idp1/authorize"),
        ("POST", f"{API}/idp1/revoke"),
        ("POST", f"{API}/idp1/token"),
        ("DELETE", f"{API}/links/{link['id']}"),
        ("POST", "/api/oidc/logout"),
        ("POST", "/link/idp1"),
        ("POST", f"/links/{link['id']}/unlink"),
        ("POST", f"/links/{link['id']}/token"),
    ]


def sent(person: StorePerson, headers: Mapping[str, str]) -> list[Answer]:
    return [person.session_call(method, path, headers=headers) for method, path in unsafe_requests(person)]


@pytest.mark.parametrize("headers", UNPROVEN)
def test_an_unproven_request_changes_nothing(person: StorePerson, headers: dict[str, str]) -> None:
    answers = sent(person, headers)

    assert {answer.status for answer in answers} == {403}
    assert person.session_call("GET", "/api/whoami").status == 200
    assert person.token("idp1").status == 200


def test_a_refusal_says_why(person: StorePerson) -> None:
    answer = person.session_call("POST", f"{API}/idp1/revoke", headers={"Origin": FOREIGN})

    assert answer.slug == "csrf"
    assert FOREIGN not in answer.text


def test_the_token_of_a_page_is_proof_where_no_origin_comes(store: Store, person: StorePerson) -> None:
    form = person.browser.get(f"{store.url}/api/oidc/logout").form("csrf_token")
    assert form is not None
    headers = {"Origin": "", "Sec-Fetch-Site": "", "X-CSRF-Token": form.fields["csrf_token"]}

    assert person.session_call("POST", f"{API}/idp1/revoke", headers=headers).status == 200


def test_the_token_of_another_session_is_no_proof(store: Store, person: StorePerson) -> None:
    other = store.person()
    other.log_in()
    form = other.browser.get(f"{store.url}/api/oidc/logout").form("csrf_token")
    assert form is not None
    headers = {"Origin": "", "Sec-Fetch-Site": "", "X-CSRF-Token": form.fields["csrf_token"]}

    assert person.session_call("POST", f"{API}/idp1/revoke", headers=headers).status == 403


def test_the_origin_of_our_own_page_is_proof(person: StorePerson) -> None:
    assert person.session_call("POST", f"{API}/idp1/revoke").status == 200


def test_a_program_needs_no_proof(person: StorePerson) -> None:
    answer = person.call("POST", f"{API}/idp1/revoke", headers={"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"})

    assert answer.status == 200


def test_a_bearer_token_makes_a_cookie_count_for_nothing(store: Store, person: StorePerson) -> None:
    other = store.person()

    answer = person.session_call(
        "POST", f"{API}/idp1/revoke", bearer=other.bearer(), headers={"Origin": FOREIGN, "Sec-Fetch-Site": ""}
    )

    assert answer.status == 200
    assert person.token("idp1").status == 200, "it was the other's request"


def test_a_form_cannot_send_json(person: StorePerson) -> None:
    answer = person.session_call("POST", f"{API}/idp1/revoke", json_body={}, headers={"Content-Type": "text/plain"})

    assert (answer.status, answer.slug) == (400, "invalid-request")

"""Links at a provider that has left TOKEN_PROVIDERS: seen by their owner, and unlinked like any other."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from support.local_store import make_app
from support.store import API, Store, StorePerson

GONE = "idp1"


@pytest.fixture
def fewer(store: Store) -> Iterator[Flask]:
    """The same store as it starts again without one of its providers."""
    offered = [provider_id for provider_id in store.providers if provider_id != GONE]
    app = make_app({**store.settings, "TOKEN_PROVIDERS": offered})
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def program(fewer: Flask, person: StorePerson, method: str, path: str, **request: Any) -> TestResponse:
    """A program's request."""
    headers = {"Authorization": f"Bearer {person.bearer(scope=person.store.scope)}"}
    client = fewer.test_client(use_cookies=False)
    return client.open(API + path, method=method, base_url=person.store.url, headers=headers, **request)


def page(fewer: Flask, person: StorePerson, path: str, form: dict[str, str] | None = None) -> TestResponse:
    """A page as the person's browser sees it, or what comes of a form."""
    cookies = "; ".join(f"{name}={value}" for name, value in person.browser.cookies(person.store.url).items())
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin", "Origin": person.store.origin}
    method = "GET" if form is None else "POST"
    client = fewer.test_client(use_cookies=False)
    return client.open(path, method=method, base_url=person.store.url, headers=headers, data=form)


def words(answer: TestResponse) -> str:
    """The text of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", answer.text))


def test_they_are_listed_with_what_they_are(fewer: Flask, person: StorePerson) -> None:
    link_id = person.link(GONE)

    listed = program(fewer, person, "GET", "/links").get_json()["links"]

    assert [(one["id"], one["provider"], one["status"]) for one in listed] == [(link_id, GONE, "not_offered")]


def test_they_are_no_part_of_what_is_offered(fewer: Flask, person: StorePerson) -> None:
    person.link(GONE)

    listed = program(fewer, person, "GET", "/authorizations").get_json()

    assert GONE not in [one["provider"] for one in listed]
    assert all(one["links"] == [] for one in listed)


def test_they_give_no_tokens(fewer: Flask, person: StorePerson) -> None:
    link_id = person.link(GONE)

    answer = program(fewer, person, "GET", f"/links/{link_id}/token")

    assert answer.status_code == 404
    assert answer.get_json()["type"].endswith("unknown-provider")


def test_a_change_that_was_made_is_answered_with_the_link(fewer: Flask, person: StorePerson) -> None:
    link_id = person.link(GONE)

    answer = program(fewer, person, "PATCH", f"/links/{link_id}", json={"label": "Old", "default": True})

    assert answer.status_code == 200
    assert (answer.get_json()["label"], answer.get_json()["status"]) == ("Old", "not_offered")


def test_they_can_be_unlinked_and_the_receipt_does_not_promise_a_revocation(fewer: Flask, person: StorePerson) -> None:
    link_id = person.link(GONE)

    answer = program(fewer, person, "DELETE", f"/links/{link_id}")

    assert (answer.status_code, answer.get_json()) == (200, {"link": link_id, "upstream": "unsupported"})
    assert program(fewer, person, "GET", "/links").get_json()["links"] == []


def test_the_page_lists_them_asks_and_unlinks(fewer: Flask, person: StorePerson) -> None:
    link_id = person.link(GONE)
    path = f"/links/{link_id}/unlink"
    index = page(fewer, person, "/")
    assert "No longer offered" in words(index)
    assert path in index.text
    asked = page(fewer, person, path)
    assert "cannot be told to revoke" in words(asked)
    token = re.search(r'name="csrf_token" value="([^"]+)"', asked.text)
    assert token is not None

    done = page(fewer, person, path, {"csrf_token": token[1]})

    assert done.status_code == 303
    assert [action for action, _ in person.store.audit(person)][-1] == "link.removed"


def test_the_page_says_nothing_of_them_where_there_are_none(person: StorePerson) -> None:
    person.link(GONE)

    assert "No longer offered" not in person.browser.get(person.store.url).text

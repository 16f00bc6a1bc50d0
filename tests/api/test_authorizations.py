"""`GET /authorizations`: the shape is a promise."""

from __future__ import annotations

import time

from support.store import API, Store, StorePerson

LINK_MEMBERS = {
    *("id", "label", "default", "status", "account", "scopes", "scope_status", "linked_at"),
    *("last_refresh_at", "last_used_at", "refresh_expires_at", "last_error"),
}


def test_all_providers_are_listed_in_configured_order(store: Store, person: StorePerson) -> None:
    items = person.call("GET", f"{API}/authorizations").json()

    assert [item["provider"] for item in items] == list(store.providers)


def test_a_provider_without_link_is_listed_exactly_so(store: Store, person: StorePerson) -> None:
    base = f"{store.url}{API}/idp1"

    assert person.authorization("idp1") == {
        "provider": "idp1",
        "active": False,
        "actions": {"authorize": f"{base}/authorize", "token": f"{base}/token", "revoke": f"{base}/revoke"},
        "metadata": {
            "name": store.providers["idp1"].config.name,
            "description": "Gives a new refresh token each time and ends everything if an old one is used",
            "url": None,
            "icon": None,
            "logo": None,
        },
        "status": "not_linked",
        "scope_status": "ok",
        "links": [],
    }


def test_a_linked_provider_is_active_and_shows_the_account(store: Store, person: StorePerson) -> None:
    person.link("idp1")

    item = person.authorization("idp1")

    [link] = item["links"]
    assert (item["active"], item["status"], item["scope_status"]) == (True, "ok", "ok")
    assert link.keys() == LINK_MEMBERS
    assert link["account"] == {
        "issuer": store.providers["idp1"].issuer,
        "subject": person.account.subject,
        "name": None,  # the scopes asked for do not open it
        "email": person.account.email,
    }
    assert (link["default"], link["status"], link["label"]) == (True, "ok", None)
    assert link["scopes"] == ["email", "offline_access", "openid"]
    assert abs(link["linked_at"] - time.time()) < 60
    assert [link[name] for name in ("last_refresh_at", "refresh_expires_at", "last_error")] == [None, None, None]


def test_a_refresh_shows_as_an_instant(store: Store, person: StorePerson) -> None:
    person.link("idp1")
    store.let_pass(4000)
    assert person.token("idp1").status == 200

    [link] = person.authorization("idp1")["links"]

    assert abs(link["last_refresh_at"] - time.time()) < 60


def test_a_plain_oauth2_account_is_known_by_its_number_and_login(store: Store, person: StorePerson) -> None:
    person.link("forge")

    [link] = person.authorization("forge")["links"]

    assert link["account"] == {
        "issuer": store.providers["forge"].issuer,
        "subject": person.account.subject,
        "name": person.account.username,
        "email": person.account.email,
    }


def test_others_do_not_see_my_links(store: Store, person: StorePerson) -> None:
    person.link("idp1")

    assert store.person().authorization("idp1")["links"] == []


def test_a_session_sees_the_same_as_a_program(person: StorePerson) -> None:
    person.link("idp1")

    assert (
        person.session_call("GET", f"{API}/authorizations").json() == person.call("GET", f"{API}/authorizations").json()
    )


def test_the_anonymous_see_nothing(store: Store) -> None:
    answer = store.call("GET", f"{API}/authorizations")

    assert (answer.status, answer.slug) == (401, "unauthenticated")

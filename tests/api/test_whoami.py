"""`GET /api/whoami`."""

from __future__ import annotations

from dataclasses import replace

from demo.config import Account
from support.store import Store, StorePerson

FIELDS = {"claims", "email", "email_verified", "id", "name", "roles", "scopes"}


def test_whoami_has_exactly_its_seven_fields_for_a_program(person: StorePerson) -> None:
    assert person.call("GET", "/api/whoami").json().keys() == FIELDS


def test_whoami_has_exactly_its_seven_fields_for_a_browser(person: StorePerson) -> None:
    person.log_in()

    assert person.session_call("GET", "/api/whoami").json().keys() == FIELDS


def test_whoami_names_the_person_who_logged_in(person: StorePerson) -> None:
    person.log_in()

    who = person.session_call("GET", "/api/whoami").json()

    login = person.login
    assert (who["id"], who["name"], who["email"], who["email_verified"]) == (
        *(login.subject, login.name, login.email),
        True,
    )


def test_whoami_of_a_program_has_the_scopes_of_its_access_token(store: Store, person: StorePerson) -> None:
    bearer = person.bearer(scope="openid jobs")

    assert store.call("GET", "/api/whoami", bearer=bearer).json()["scopes"] == ["openid", "jobs"]


def test_whoami_finds_roles_where_keycloak_puts_them(store: Store) -> None:
    login = Account.named("somebody", {"realm_access": {"roles": ["operator"]}})
    person = replace_login(store.person(), login)
    person.log_in()

    assert person.session_call("GET", "/api/whoami").json()["roles"] == ["operator"]


def test_whoami_asks_the_anonymous_to_log_in(store: Store) -> None:
    answer = store.call("GET", "/api/whoami")

    assert (answer.status, answer.slug, answer.headers["WWW-Authenticate"]) == (
        *(401, "unauthenticated"),
        'Bearer realm="tokenstore"',
    )


def replace_login(person: StorePerson, login: Account) -> StorePerson:
    """The same person with another account at the login provider."""
    named = replace(login, username=f"{person.login.username}-{login.username}")
    person.store.world.login.state.enrol(named)
    person.login = named
    return person

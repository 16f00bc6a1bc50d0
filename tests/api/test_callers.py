"""Callers of every kind, end to end: opaque tokens, API keys, passwords, disabled users, and old clients."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from demo.browser import Browser, Form
from demo.client import Answer
from demo.knobs import Fault
from demo.store import environment
from demo.world import CLIENT_ID, STRICT
from support.callers import PREFIX, by_key
from support.store import API, Store, StorePerson, local_store
from tokenstore.store.tables import access_token, link


@pytest.fixture(scope="module")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that takes all kinds of credentials, and speaks to old clients."""
    functions = {"basic": "support.callers:by_password", "apikey-v1": by_key}
    home = tmp_path_factory.mktemp("callers")
    with local_store(home, OIDC_INTROSPECTION=True, USERINFO_MAP=functions, LEGACY_STATUS_CODES=True) as running:
        yield running


@pytest.fixture
def someone(open_store: Store) -> Iterator[StorePerson]:
    yield open_store.person()
    open_store.calm()


def opaque(person: StorePerson, **changes: Any) -> str:
    """An opaque access token for the store."""
    state = person.store.world.login.state
    return state.mint_opaque_token(person.login.subject, CLIENT_ID, **changes)


def key(person: StorePerson) -> dict[str, str]:
    return {"X-Api-Key": PREFIX + person.login.subject}


def basic(person: StorePerson) -> dict[str, str]:
    pair = f"{person.login.subject}:{PREFIX}{person.login.subject}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def whoami(store: Store, **request: Any) -> Answer:
    return store.call("GET", "/api/whoami", **request)


def test_all_kinds_of_credentials_name_the_same_user(open_store: Store, someone: StorePerson) -> None:
    someone.link(STRICT)
    path = f"{API}/{STRICT}/token"
    answers = [
        open_store.call("GET", path, bearer=opaque(someone)),
        open_store.call("GET", path, headers=key(someone)),
        open_store.call("GET", path, headers=basic(someone)),
        someone.token(STRICT),
    ]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 1


def test_an_introspected_user_has_its_claims(open_store: Store, someone: StorePerson) -> None:
    got = whoami(open_store, bearer=opaque(someone, scope="openid email profile")).json()
    assert (got["id"], got["email"], got["scopes"]) == (
        someone.login.subject,
        someone.login.email,
        ["openid", "email", "profile"],
    )


def test_one_introspection_serves_many_requests(open_store: Store, someone: StorePerson) -> None:
    token, calls = opaque(someone), open_store.world.login.calls
    before = len([call for call in calls.all() if call.endpoint == "introspect"])
    assert {whoami(open_store, bearer=token).status for _ in range(5)} == {200}
    assert len([call for call in calls.all() if call.endpoint == "introspect"]) == before + 1


def test_without_the_setting_opaque_tokens_are_refused_and_nobody_is_asked(store: Store, person: StorePerson) -> None:
    assert whoami(store, bearer=opaque(person)).slug == "invalid-token"
    assert not [call for call in store.world.login.calls.all() if call.endpoint == "introspect"]


def test_a_login_provider_that_does_not_answer_is_no_refusal(open_store: Store, someone: StorePerson) -> None:
    open_store.world.login.knobs.set(Fault.STATUS, 500, fail_at=["introspect"])
    got = whoami(open_store, bearer=opaque(someone))
    assert (got.status, got.slug) == (503, "provider-unavailable")


def test_a_login_provider_that_refuses_us_is_the_operators_business(open_store: Store, someone: StorePerson) -> None:
    open_store.world.login.knobs.set(Fault.STATUS, 401, fail_at=["introspect"])
    got = whoami(open_store, bearer=opaque(someone))
    assert (got.status, got.slug) == (502, "provider-misconfigured")


def test_introspection_wants_to_know_who_asks(open_store: Store, someone: StorePerson) -> None:
    address = f"{open_store.world.login.issuer}/introspect"
    answer = Browser().submit(Form(open_store.url, address, "post", {"token": opaque(someone)}))
    assert answer.status == 401


@pytest.mark.parametrize("query", ["access_token={}", "api_key={}", "token={}", "x-api-key={}"])
def test_query_strings_hold_no_credentials(open_store: Store, someone: StorePerson, query: str) -> None:
    value = someone.bearer() if query.startswith(("access", "token")) else PREFIX + someone.login.subject
    assert open_store.call("GET", "/api/whoami?" + query.format(value)).slug == "unauthenticated"


def test_bad_credentials_are_not_rescued_by_good_ones(open_store: Store, someone: StorePerson) -> None:
    someone.log_in()
    cookies = "; ".join(f"{name}={value}" for name, value in someone.browser.cookies(open_store.url).items())
    for bad in ({"Authorization": "Bearer x.y.z", **key(someone)}, {"X-Api-Key": "wrong"}, {"X-Api-Key": ""}):
        assert whoami(open_store, headers={**bad, "Cookie": cookies}).slug == "invalid-token"


def test_authorization_counts_before_the_api_key(open_store: Store, someone: StorePerson) -> None:
    other = open_store.person()
    got = whoami(open_store, headers={**basic(other), **key(someone)})
    assert got.json()["id"] == other.login.subject


def test_keys_and_passwords_stand_in_no_log(
    open_store: Store, someone: StorePerson, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for headers in (key(someone), basic(someone), {"X-Api-Key": "canary-wrong-key"}):
            whoami(open_store, headers=headers)
    assert PREFIX + someone.login.subject not in caplog.text
    assert "canary" not in caplog.text


def operate(store: Store, *arguments: str) -> str:
    """What a command for operators prints; it has to succeed."""
    command = [sys.executable, "-m", "flask", "--app", "tokenstore", "tokenstore", *arguments]
    given = {name: value for name, value in store.settings.items() if name != "USERINFO_MAP"}
    done = subprocess.run(command, env=environment(given), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.asvs("7.4.2")
def test_a_disabled_user_is_kept_out_within_a_second_on_every_path(open_store: Store, someone: StorePerson) -> None:
    someone.link(STRICT)
    checked_before, token = opaque(someone), someone.bearer()
    calls: dict[str, dict[str, Any]] = {
        "bearer": {"bearer": token},
        "opaque": {"bearer": checked_before},
        "api key": {"headers": key(someone)},
        "basic": {"headers": basic(someone)},
    }
    path = f"{API}/{STRICT}/token"
    assert {open_store.call("GET", path, **call).status for call in calls.values()} == {200}

    assert operate(open_store, "users", "disable", someone.login.subject) == "disabled"
    time.sleep(1)  # what is promised is a time

    got = {name: open_store.call("GET", path, **call).slug for name, call in calls.items()}
    assert got == dict.fromkeys(calls, "policy-denied")
    assert someone.session_call("GET", "/api/whoami").slug == "unauthenticated"
    assert ("user.disabled", None) in open_store.audit(someone)

    assert operate(open_store, "users", "enable", someone.login.subject) == "enabled"
    time.sleep(1)
    assert open_store.call("GET", path, bearer=token).status == 200
    assert someone.session_call("GET", "/api/whoami").slug == "unauthenticated"


def test_users_are_listed(open_store: Store, someone: StorePerson) -> None:
    someone.log_in()
    lines = operate(open_store, "users", "list").splitlines()
    mine = next(line for line in lines if line.startswith(someone.login.subject))
    assert mine.split("\t")[1:4] == [open_store.world.login.issuer, "0", "enabled"]


def test_an_unknown_user_cannot_be_disabled(open_store: Store) -> None:
    with pytest.raises(AssertionError, match="there is no such user"):
        operate(open_store, "users", "disable", "nobody")


def test_an_old_client_gets_the_statuses_that_it_knows(open_store: Store, someone: StorePerson) -> None:
    path = f"{API}/{STRICT}/token"
    anonymous, bad = open_store.call("GET", path), open_store.call("GET", path, bearer="x.y.z")
    assert [(answer.status, answer.slug) for answer in (anonymous, bad, whoami(open_store))] == [
        (403, "unauthenticated"),
        (403, "invalid-token"),
        (403, "unauthenticated"),
    ]
    not_linked = someone.token(STRICT)
    assert (not_linked.status, not_linked.slug, not_linked.json()["status"]) == (400, "not-linked", 400)


def test_an_old_client_gets_400_for_a_broken_link(open_store: Store, someone: StorePerson) -> None:
    link_id = UUID(someone.link(STRICT))
    open_store.change(link, link.c.id == link_id, state="broken")
    open_store.change(access_token, access_token.c.link_id == link_id, expires_at=access_token.c.issued_at)
    answer = someone.token(STRICT)
    assert (answer.status, answer.slug) == (400, "reauthorization-required")


def test_what_old_clients_do_not_call_keeps_its_statuses(open_store: Store) -> None:
    assert open_store.call("GET", "/sessions", headers={"Accept": "text/html"}).status == 302
    assert open_store.call("POST", f"/link/{STRICT}").status == 401
    assert open_store.call("GET", f"{API}/nowhere/at/all").status == 404

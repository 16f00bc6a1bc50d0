"""Clients of the reference go on as before: its credentials, its calls, its statuses (`LEGACY_STATUS_CODES`).

What is expected here is what the reference itself answers.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from demo.client import Answer
from demo.config import Account
from demo.grants import Grant
from demo.store import environment
from support.reference import REFERENCE_KEY, fernet, reference_at
from support.store import API, Store, local_store
from tokenstore.cli import group
from tokenstore.store.tables import link

USER = Account("user", "10000001", "User", "user@example.com")
PASSWORD, API_KEY = "a password", "user_api_key"


def userinfo_from_basic(auth_info: Mapping[str, str]) -> dict[str, object] | None:
    """As a settings file of the reference has it."""
    if (auth_info["username"], auth_info["password"]) != (USER.username, PASSWORD):
        return None
    return {"id": USER.subject, "name": USER.name, "email": USER.email, "email_verified": True, "roles": ["user"]}


def userinfo_from_apikey(auth_info: Mapping[str, str]) -> dict[str, object] | None:
    """As a settings file of the reference has it."""
    return {"id": USER.subject} if auth_info["token"] == API_KEY else None


BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER.username}:{PASSWORD}".encode()).decode()}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in the place of a reference; the person has a link at idp1 that came from it, and none at forge."""
    home = tmp_path_factory.mktemp("upgraded")
    given: dict[str, Any] = {
        "CRYPTOKEY": REFERENCE_KEY,
        "LEGACY_STATUS_CODES": True,
        "USERINFO_MAP": {"basic": userinfo_from_basic, "apikey-v1": userinfo_from_apikey},
        "RETURN_URL_ORIGINS": ["https://portal.example.org"],
    }
    with local_store(home, **given) as store:
        store.world.enrol(USER, USER)
        import_link(store, home)
        yield store


def import_link(store: Store, home: Path) -> None:
    """What the reference had, imported."""
    provider = store.providers["idp1"].state
    client = str(store.settings["IDP1_CLIENT_ID"])
    family = Grant(secrets.token_hex(8), client, USER.subject, "openid email offline_access", int(time.time()))
    url = f"sqlite:///{home / 'reference.db'}"
    with reference_at(url) as reference:
        reference.add(USER.subject, "idp1", fernet(provider.new_refresh_token(family)))
    told = {name: value for name, value in store.settings.items() if name != "USERINFO_MAP"}
    done = CliRunner().invoke(group, ["import-reference", url], env=environment(told))
    assert done.exit_code == 0, done.output


def as_user(store: Store, method: str, path: str) -> Answer:
    return store.call(method, API + path, headers=BASIC)


CALLS = [
    ("GET", "/authorizations"),
    *(("GET", f"/{provider}/{action}") for provider in ("idp1", "unknown") for action in ("token", "authorize")),
    *(("POST", f"/{provider}/revoke") for provider in ("idp1", "unknown")),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_nobody_is_answered_403(upgraded: Store, method: str, path: str) -> None:
    assert upgraded.call(method, API + path).status == 403


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/unknown/token"), ("GET", "/unknown/authorize"), ("POST", "/unknown/revoke")]
)
def test_unknown_provider_is_answered_404(upgraded: Store, method: str, path: str) -> None:
    assert as_user(upgraded, method, path).status == 404


def test_token_of_a_provider_without_a_link_is_answered_400(upgraded: Store) -> None:
    assert as_user(upgraded, "GET", "/forge/token").status == 400


def test_token_of_an_imported_link_has_the_members_of_old(upgraded: Store) -> None:
    answer = as_user(upgraded, "GET", "/idp1/token")

    assert answer.status == 200, answer.text
    token = answer.json()
    assert isinstance(token["access_token"], str)
    assert token["token_type"] == "Bearer"
    assert isinstance(token["expires_in"], int)
    assert abs(token["expires_at"] - time.time() - token["expires_in"]) < 5


def test_api_key_names_the_same_person(upgraded: Store) -> None:
    answer = upgraded.call("GET", f"{API}/idp1/token", headers={"X-Api-Key": API_KEY})

    assert answer.status == 200
    assert answer.json()["link"] == as_user(upgraded, "GET", "/idp1/token").json()["link"]


def test_authorizations_come_in_order_with_the_members_of_old(upgraded: Store) -> None:
    items = as_user(upgraded, "GET", "/authorizations").json()

    assert [(item["provider"], item["active"]) for item in items[:2]] == [("idp1", True), ("forge", False)]
    assert items[0]["actions"] == {
        action: f"{upgraded.url}{API}/idp1/{action}" for action in ("authorize", "token", "revoke")
    }
    assert items[0]["metadata"].keys() == {"name", "description", "url", "icon", "logo"}


def test_authorize_sends_a_caller_with_credentials_to_the_provider(upgraded: Store) -> None:
    answer = as_user(upgraded, "GET", "/forge/authorize?return_url=https://portal.example.org/")

    assert answer.status == 302
    assert answer.headers["Location"].startswith(upgraded.providers["forge"].url)


def test_whoami_is_the_user_of_the_operator_s_function(upgraded: Store) -> None:
    assert upgraded.call("GET", "/api/whoami", headers=BASIC).json() == {
        "id": USER.subject,
        "name": "User",
        "email": "user@example.com",
        "email_verified": True,
        "roles": ["user"],
        "scopes": [],
        "claims": {},
    }


def test_revoking_where_nothing_is_linked_says_the_same(upgraded: Store) -> None:
    answer = as_user(upgraded, "POST", "/forge/revoke")

    assert (answer.status, answer.json()) == (200, "Token revoked")


def test_link_that_gives_no_tokens_any_more_is_answered_400_until_it_is_gone(upgraded: Store) -> None:
    upgraded.let_pass(4000)
    upgraded.change(link, link.c.subject == USER.subject, state="broken", last_error="invalid_grant")

    broken = as_user(upgraded, "GET", "/idp1/token")
    revoked = as_user(upgraded, "POST", "/idp1/revoke")

    assert (broken.status, broken.slug) == (400, "reauthorization-required")
    assert (revoked.status, revoked.json()) == (200, "Token revoked")
    assert as_user(upgraded, "GET", "/authorizations").json()[0]["active"] is False

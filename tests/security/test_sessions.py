"""F-SESS: fixation, theft, planted content, and what the cookie looks like."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from support.keys import memory_vault
from support.sessions import SessionTable, session_table
from support.web import PUBLIC_URL, app_with_sessions
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.identity.session_values import new_sid
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Label, Vault

COOKIE = "__Host-tokenstore"
HOST = "tokens.example.org"
CANARY = "canary-in-the-session"


class Exploit:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture(params=["sqlite_url", "redis_url"])
def table(request: pytest.FixtureRequest) -> Iterator[SessionTable]:
    made = session_table(request.getfixturevalue(request.param))
    yield made
    made.close()


@pytest.fixture
def vault() -> Vault:
    return memory_vault()


@pytest.fixture
def browser(table: SessionTable, vault: Vault) -> FlaskClient:
    return app_with_sessions(table.rows, vault).test_client()


def get(client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> Any:
    return client.get(path, headers=headers, base_url=PUBLIC_URL).get_json(silent=True)


def cookie(client: FlaskClient) -> str:
    held = client.get_cookie(COOKIE, HOST)
    assert held is not None
    return held.value


def with_cookie(client: FlaskClient, value: str) -> FlaskClient:
    """Another browser that has this cookie."""
    other = client.application.test_client()
    other.set_cookie(COOKIE, value, domain=HOST)
    return other


def seal_as_session(table: SessionTable, vault: Vault, plain: bytes) -> None:
    """Plants content that the vault itself sealed for the only row."""
    (row_id,) = table.ids()
    context = Context(table="session", kind=Kind.SESSION, row=bytes.fromhex(row_id))
    table.plant(vault.seal(Secret(plain.decode("latin-1")), context))


def test_id_from_outside_is_never_adopted(browser: FlaskClient) -> None:
    chosen = new_sid()
    victim = with_cookie(browser, chosen)
    get(victim, "/store?a=1")
    assert cookie(victim) != chosen
    assert get(with_cookie(browser, chosen), "/show") == {}


@pytest.mark.asvs("7.2.4")
def test_id_from_before_the_login_is_good_for_nothing_after_it(browser: FlaskClient) -> None:
    get(browser, "/store?a=1")
    fixed = cookie(browser)
    get(browser, "/login")
    assert get(with_cookie(browser, fixed), "/show") == {}


@pytest.mark.asvs("7.4.1")
def test_stolen_cookie_is_good_for_nothing_after_the_logout(browser: FlaskClient) -> None:
    get(browser, "/login")
    stolen = cookie(browser)
    get(browser, "/logout")
    assert get(with_cookie(browser, stolen), "/show") == {}


@pytest.mark.asvs("7.2.1")
@pytest.mark.parametrize(
    "value", ["", "x", "A" * 42, "A" * 44, "A" * 2048, "../../etc/passwd", "é" * 43, "A" * 42 + "="]
)
def test_odd_cookie_is_no_session(browser: FlaskClient, value: str) -> None:
    get(browser, "/login")
    assert get(with_cookie(browser, value), "/show") == {}


def test_stored_id_is_not_the_cookie(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/store?a=1")
    assert cookie(browser) not in "".join(table.ids())


def test_stored_content_cannot_be_read(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, f"/store?a={CANARY}")
    assert CANARY.encode() not in table.sealed()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_planted_pickle_is_not_executed(
    browser: FlaskClient, table: SessionTable, tmp_path: Path, protocol: int
) -> None:
    get(browser, "/login")
    table.plant(pickle.dumps(Exploit(tmp_path / "executed"), protocol))
    assert get(browser, "/show") == {}
    assert not (tmp_path / "executed").exists()


def test_sealed_pickle_is_not_executed(browser: FlaskClient, table: SessionTable, vault: Vault, tmp_path: Path) -> None:
    get(browser, "/login")
    seal_as_session(table, vault, pickle.dumps(Exploit(tmp_path / "executed")))
    assert get(browser, "/show") == {}
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        json.dumps({"user": "admin"}).encode(),
        msgspec.msgpack.encode({"user": "admin"}),
        msgspec.msgpack.encode(["user"]),
    ],
)
def test_planted_content_is_no_session(browser: FlaskClient, table: SessionTable, content: bytes) -> None:
    get(browser, "/login")
    table.plant(content)
    assert get(browser, "/show") == {}


@pytest.mark.parametrize("plain", [b"", b"\xc1", b'{"user": "admin"}', msgspec.msgpack.encode([1]), b"\x81\x01\x02"])
def test_sealed_content_that_is_no_mapping_is_no_session(
    browser: FlaskClient, table: SessionTable, vault: Vault, plain: bytes
) -> None:
    get(browser, "/login")
    seal_as_session(table, vault, plain)
    assert get(browser, "/show") == {}


def test_content_of_another_session_does_not_open(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/login")
    foreign = table.sealed()
    other = browser.application.test_client()
    get(other, "/store?a=1")
    table.plant(foreign)
    assert get(other, "/show") == {}


def test_flipped_content_is_no_session(browser: FlaskClient, table: SessionTable) -> None:
    get(browser, "/login")
    sealed = table.sealed()
    table.plant(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert get(browser, "/show") == {}


@pytest.mark.asvs("3.3.1")
@pytest.mark.asvs("3.3.3")
@pytest.mark.asvs("3.3.4")
def test_cookie_over_https_is_bound_to_the_host(browser: FlaskClient) -> None:
    answer = browser.get("/store?a=1", base_url=PUBLIC_URL)
    morsel = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["path"], morsel["domain"]) == (
        True,
        True,
        "Lax",
        "/",
        "",
    )


def test_deletion_of_the_cookie_has_the_attributes_that_browsers_demand(browser: FlaskClient) -> None:
    get(browser, "/login")
    header = browser.get("/logout", base_url=PUBLIC_URL).headers["Set-Cookie"]
    morsel = SimpleCookie(header)[COOKIE]
    assert (morsel.value, morsel["max-age"], morsel["secure"], morsel["path"]) == ("", "0", True, "/")


def test_cookie_over_plain_http_on_loopback_has_a_plain_name(table: SessionTable, vault: Vault) -> None:
    client = app_with_sessions(table.rows, vault, "http://127.0.0.1:5000").test_client()
    header = client.get("/store?a=1", base_url="http://127.0.0.1:5000").headers["Set-Cookie"]
    assert header.startswith("tokenstore=")
    assert "Secure" not in header


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key"])
def test_request_with_credentials_of_its_own_reads_no_session(browser: FlaskClient, name: str) -> None:
    get(browser, "/login")
    assert get(browser, "/show", {name: "Bearer x"}) == {}


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key"])
@pytest.mark.parametrize("path", ["/store?a=1", "/login", "/logout"])
def test_request_with_credentials_of_its_own_makes_no_session(
    browser: FlaskClient, table: SessionTable, name: str, path: str
) -> None:
    answer = browser.get(path, headers={name: "Bearer x"}, base_url=PUBLIC_URL)
    assert (answer.status_code, table.count(), "Set-Cookie" in answer.headers) == (400, 0, False)


@pytest.mark.asvs("7.2.3")
def test_many_ids_do_not_collide_and_are_256_bits_long() -> None:
    ids = {new_sid() for _ in range(100_000)}
    assert len(ids) == 100_000
    assert {len(sid) for sid in ids} == {43}


@pytest.mark.asvs("3.3.5")
def test_cookie_stays_small_however_much_is_stored(browser: FlaskClient) -> None:
    for number in range(50):
        get(browser, f"/store?attempt{number}={'x' * 500}")
    assert len(cookie(browser)) == 43


def test_missing_keys_are_a_problem_and_no_logout(browser: FlaskClient, table: SessionTable, vault: Vault) -> None:
    get(browser, "/login")
    keyless = app_with_sessions(table.rows, Vault(failing_load)).test_client()
    keyless.set_cookie(COOKIE, cookie(browser), domain=HOST)
    answer = keyless.get("/show", base_url=PUBLIC_URL)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (503, False)
    assert vault.lookup(Label.SESSION_ID, cookie(browser)).hex() == table.ids()[0]


def failing_load() -> Any:
    raise KeyUnavailable("The keys are away.", retry_after=timedelta(seconds=1))

"""F-CSRF: another site cannot make a browser change anything, nor fetch a secret, with a person's session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from support.keys import memory_vault
from support.sessions import SqlSessionTable
from support.web import PUBLIC_URL, TRUSTED_ORIGIN, app_with_sessions

FOREIGN_ORIGINS = [
    "https://evil.example",
    "null",
    "",
    "https://sub.tokens.example.org",
    "https://example.org",
    "http://tokens.example.org",
    "https://tokens.example.org:8443",
    "https://tokens.example.org.evil.example",
    "https://TOKENS.example.org",
    "https://tokens.example.org, https://evil.example",
]
UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture
def person(sqlite_url: str) -> Iterator[FlaskClient]:
    """A browser with a session."""
    table = SqlSessionTable.at(sqlite_url)
    client = app_with_sessions(table.rows, memory_vault()).test_client()
    client.get("/login", base_url=PUBLIC_URL)
    yield client
    table.engine.dispose()


def ask(client: FlaskClient, path: str = "/change", method: str = "POST", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.open(path, method=method, headers=named, base_url=PUBLIC_URL)


def token(client: FlaskClient) -> str:
    return client.get("/form", base_url=PUBLIC_URL).text


def changes(client: FlaskClient) -> int:
    count: int = client.get("/show", base_url=PUBLIC_URL).get_json().get("changes", 0)
    return count


@pytest.mark.asvs("3.5.1")
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", None])
def test_foreign_origin_changes_nothing(person: FlaskClient, origin: str, site: str | None) -> None:
    headers = {"Origin": origin} | ({"Sec-Fetch-Site": site} if site else {})
    answer = ask(person, **headers)
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (403, "csrf")
    assert changes(person) == 0


def test_foreign_origin_with_a_stolen_token_changes_nothing(person: FlaskClient) -> None:
    assert ask(person, Origin="https://evil.example", X_CSRF_Token=token(person)).status_code == 403


@pytest.mark.parametrize("method", UNSAFE)
def test_every_unsafe_method_is_checked(person: FlaskClient, method: str) -> None:
    assert ask(person, method=method, Origin="https://evil.example").status_code == 403


@pytest.mark.parametrize("method", UNSAFE)
def test_without_origin_and_token_nothing_changes(person: FlaskClient, method: str) -> None:
    assert ask(person, method=method).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_fetch_metadata_contradicts_own_origin(person: FlaskClient, site: str) -> None:
    assert ask(person, Origin=PUBLIC_URL, Sec_Fetch_Site=site).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_fetch_metadata_contradicts_the_token(person: FlaskClient, site: str) -> None:
    assert ask(person, X_CSRF_Token=token(person), Sec_Fetch_Site=site).status_code == 403


def test_fetch_metadata_contradicts_a_trusted_origin(person: FlaskClient) -> None:
    assert ask(person, Origin=TRUSTED_ORIGIN, Sec_Fetch_Site="same-origin").status_code == 403


def test_own_page_may_change(person: FlaskClient) -> None:
    assert ask(person, Origin=PUBLIC_URL, Sec_Fetch_Site="same-origin").status_code == 200


def test_trusted_origin_may_change(person: FlaskClient) -> None:
    assert ask(person, Origin=TRUSTED_ORIGIN, Sec_Fetch_Site="same-site").status_code == 200


def test_token_in_the_header_proves(person: FlaskClient) -> None:
    assert ask(person, X_CSRF_Token=token(person)).status_code == 200


def test_token_in_the_form_proves(person: FlaskClient) -> None:
    answer = person.post("/change", data={"csrf_token": token(person)}, base_url=PUBLIC_URL)
    assert answer.status_code == 200


def test_token_in_the_query_proves_nothing(person: FlaskClient) -> None:
    assert ask(person, f"/change?csrf_token={token(person)}").status_code == 403


def test_token_of_another_session_proves_nothing(person: FlaskClient) -> None:
    other = person.application.test_client()
    other.get("/login", base_url=PUBLIC_URL)
    assert ask(person, X_CSRF_Token=token(other)).status_code == 403


def test_token_from_before_the_login_proves_nothing_after_it(person: FlaskClient) -> None:
    before = token(person)
    person.get("/login", base_url=PUBLIC_URL)
    assert ask(person, X_CSRF_Token=before).status_code == 403


@pytest.mark.parametrize("wrong", ["", "0", "é", "x" * 64])
def test_made_up_token_proves_nothing(person: FlaskClient, wrong: str) -> None:
    assert ask(person, X_CSRF_Token=wrong.encode().decode("latin-1")).status_code == 403


def test_anonymous_browser_has_no_token_to_steal(person: FlaskClient) -> None:
    assert token(person.application.test_client()) == ""


def test_empty_token_of_an_anonymous_browser_gives_no_session(person: FlaskClient) -> None:
    other = person.application.test_client()
    other.get("/quiet", base_url=PUBLIC_URL)
    assert ask(person, X_CSRF_Token=token(other)).status_code == 403


@pytest.mark.asvs("3.5.8")
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_make_the_browser_read_a_secret(person: FlaskClient, site: str) -> None:
    assert ask(person, "/secret", "GET", Sec_Fetch_Site=site).status_code == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origin_cannot_read_a_secret(person: FlaskClient, origin: str) -> None:
    assert ask(person, "/secret", "GET", Origin=origin).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_person_can_read_a_secret(person: FlaskClient, site: str) -> None:
    assert ask(person, "/secret", "GET", Sec_Fetch_Site=site).status_code == 200


def test_trusted_origin_can_read_a_secret(person: FlaskClient) -> None:
    assert ask(person, "/secret", "GET", Origin=TRUSTED_ORIGIN, Sec_Fetch_Site="cross-site").status_code == 200


def test_request_with_credentials_of_its_own_needs_no_proof(person: FlaskClient) -> None:
    answer = ask(person, "/change", Authorization="Bearer x", Origin="https://evil.example")
    assert answer.get_json()["type"].endswith("/invalid-request")  # past the check, but without a session to write


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", PUBLIC_URL, None])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_use_a_password_that_the_browser_keeps(
    person: FlaskClient, site: str, origin: str | None, method: str
) -> None:
    headers = {"Sec-Fetch-Site": site} | ({"Origin": origin} if origin else {})
    answer = ask(person.application.test_client(), method=method, Authorization="Basic YWRhOnNlY3JldA==", **headers)
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (403, "csrf")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "same-origin"},
        {"Origin": TRUSTED_ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_programs_and_trusted_pages_may_send_passwords(person: FlaskClient, headers: dict[str, str]) -> None:
    answer = ask(person.application.test_client(), "/quiet", Authorization="basic YWRhOnNlY3JldA==", **headers)
    assert answer.status_code == 405, "past the check, at a place that knows no POST"

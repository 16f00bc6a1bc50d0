"""The store behind a real nginx with TLS, below a path: what browsers, programs and the audit see."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from demo.address import Address
from demo.browser import Browser, Form
from demo.client import Answer, call
from demo.store import own_settings, running_store
from demo.world import World
from support.certificates import Authority
from support.nginx import free_port, nginx
from support.store import API, Store, StorePerson
from support.urls import query_of
from support.waiting import eventually
from tokenstore.store.tables import audit_event

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("nginx")]

# Where browsers of these tests ask from, other than nginx asks the store.
HERE = "127.0.0.2"
FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "81",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=http",
    "X-Request-Id": "forged-name-of-a-request",
    "Script-Name": "/evil",
}


@dataclass(frozen=True, slots=True)
class Front:
    """The store as the world sees it: through nginx."""

    store: Store
    inner_url: str
    tls: ssl.SSLContext
    access_log: Path

    def person(self) -> StorePerson:
        """Somebody new, whose browser claims things."""
        person = self.store.person()
        person.browser = Browser(tls=self.tls, source=HERE, headers=FORGED)
        return person

    def call(self, method: str, path: str, bearer: str | None = None) -> Answer:
        return call(self.store.url, method, path, bearer=bearer, headers=FORGED, tls=self.tls)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home, address, port = tmp_path_factory.mktemp("front"), Address(), free_port()
    authority = Authority(home)
    url, inner, database_url = f"https://127.0.0.1:{port}/tokens", address.url, f"sqlite:///{home / 'store.sqlite'}"
    with World(url) as world:
        settings = {**own_settings(url, database_url), **world.settings(), "PROXY_HOPS": 1}
        with (
            running_store(address, settings, home, workers=2) as process,
            nginx(home, port, inner, authority.server_files("127.0.0.1")) as access_log,
        ):
            tls = ssl.create_default_context(cafile=str(authority.bundle))
            yield Front(Store(url, world, database_url, settings, process.log), inner, tls, access_log)


def test_the_session_cookie_is_bound_to_the_host(front: Front) -> None:
    page = front.person().browser.get(f"{front.store.url}/api/oidc/login", within=front.store.origin)

    cookie = SimpleCookie(page.headers["Set-Cookie"])["__Host-tokenstore"]
    kept = [cookie[name] for name in ("secure", "httponly", "samesite", "path", "domain")]
    assert kept == [True, True, "Lax", "/", ""]


def test_login_and_linking_go_through_by_addresses_of_public_url_alone(front: Front) -> None:
    person, url = front.person(), front.store.url
    begun = person.browser.get(f"{url}/api/oidc/login", within=front.store.origin)
    form = begin_linking(front, person)
    onward = person.browser.submit(form)
    home = person.at_provider().answer(person.browser.get(str(onward.refresh)))

    assert query_of(str(begun.location))["redirect_uri"] == f"{url}/api/oidc/redirect_uri"
    assert form.action == f"{url}/link/idp1"
    assert query_of(str(onward.refresh))["redirect_uri"] == f"{url}{API}/idp1/redirect_uri"
    assert home.url == f"{url}/"
    assert "evil" not in home.text


def test_programs_get_tokens_with_their_bearer_token(front: Front) -> None:
    person = front.person()
    link(front, person)

    answer = front.call("GET", f"{API}/idp1/token", person.bearer())

    assert (answer.status, answer.json()["token_type"]) == (200, "Bearer")
    assert front.call("GET", f"{API}/slow/token", person.bearer()).json()["authorize_url"] == (
        f"{front.store.url}/link/slow"
    )


def test_audit_knows_where_people_came_from_whatever_they_claim(front: Front) -> None:
    person = front.person()
    link(front, person)

    rows = [row for row in front.store.rows(audit_event) if row["user_subject"] == person.login.subject]
    assert {"login", "link.created"} <= {row["action"] for row in rows}
    assert {row["address"] for row in rows} == {HERE}


def test_a_request_has_one_name_in_the_answer_and_in_both_logs(front: Front) -> None:
    name = front.call("GET", f"{API}/idp1/token?state=canary-of-a-query").headers["X-Request-Id"]
    log = front.store.log
    assert log is not None

    eventually(lambda: name in front.access_log.read_text() and name in log.read_text(), "the lines of the request")
    lines = [json.loads(line) for line in front.access_log.read_text().splitlines()]

    assert [line["path"] for line in lines if line["request_id"] == name] == [f"/tokens{API}/idp1/token"]
    assert "canary-of-a-query" not in front.access_log.read_text() + log.read_text()
    assert FORGED["X-Request-Id"] not in log.read_text()


def test_metrics_are_not_to_be_had_through_the_proxy(front: Front) -> None:
    outside, inside = front.call("GET", "/metrics"), call(front.inner_url, "GET", "/metrics")

    assert (outside.status, inside.status) == (404, 200)


def begin_linking(front: Front, person: StorePerson) -> Form:
    person.log_in()
    form = person.browser.get(f"{front.store.url}/link/idp1").form("return_url")
    assert form is not None
    return form


def link(front: Front, person: StorePerson) -> None:
    onward = person.browser.submit(begin_linking(front, person))
    assert person.at_provider().answer(person.browser.get(str(onward.refresh))).status == 200

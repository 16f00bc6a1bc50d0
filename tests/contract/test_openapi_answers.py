"""Every answer in the API document is one that the store gives: each is brought about and compared with its example.

What is documented and nothing here brings about fails the test of its name.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine

from demo.address import Address
from demo.client import Answer, call
from demo.knobs import Fault
from demo.store import own_settings
from demo.world import CLIENT_ID
from support.local_store import serving_locally
from support.openapi import DOCUMENT, broken_promises, example, operation, strays
from support.store import Store, StorePerson, local_store
from support.waiting import eventually
from tokenstore.api.operations import OPERATIONS
from tokenstore.store.tables import link as link_table
from tokenstore.store.tables import metadata, user_account
from tokenstore.web.openapi import JSON, PAGE, Callers, Operation
from tokenstore.web.problem_examples import Shape, shapes

pytestmark = pytest.mark.timeout(120)

HOUR_GONE = 4000
LONGEST_DOUBT = 31
SUSPECTED = ("link.suspect", "invalid_grant")


@dataclass(frozen=True, slots=True)
class Scene:
    """An operation, to be called at a store by somebody."""

    operation: Operation
    store: Store
    person: StorePerson
    places: dict[str, str]
    accept: str = JSON

    def path(self, query: Mapping[str, str] | None = None, **places: str) -> str:
        """The address of the operation."""
        known = {**{one.name: str(one.example) for one in self.operation.parameters if one.where == "path"}}
        filled = self.operation.path.format(**{**known, **self.places, **places})
        return filled + ("?" + urlencode(query) if query else "")

    def call(self, query: Mapping[str, str] | None = None, *, bearer: str | None = None, **places: str) -> Answer:
        """The operation as a program calls it, with the example of the document as its body."""
        token = self.person.bearer() if bearer is None else bearer
        return self.send(self.path(query, **places), bearer=token or None, **self.body())

    def call_with(self, body: object) -> Answer:
        """The same with another body."""
        return self.send(self.path(), bearer=self.person.bearer(), json_body=body)

    def send(self, path: str, *, headers: Mapping[str, str] | None = None, **request: Any) -> Answer:
        """A request with the operation's method."""
        sent = {"Accept": self.accept, **(headers or {})}
        return call(self.store.url, self.operation.method.upper(), path, headers=sent, **request)

    def in_browser(
        self,
        query: Mapping[str, str] | None = None,
        *,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The operation as the person's browser calls it from a page of the store."""
        sent = {"Accept": self.accept, **(headers or {})}
        return self.person.session_call(
            self.operation.method.upper(), path or self.path(query), headers=sent, **self.body()
        )

    def body(self) -> dict[str, Any]:
        """The example of the body, where it is JSON."""
        body = self.operation.body
        return {"json_body": body.example} if body and body.media == "application/json" else {}

    def callback(self, query: Mapping[str, str] | None = None) -> Answer:
        """The provider sends the browser back, with `state` of a fresh attempt and the given parameters."""
        place = "/api/oidc/login" if self.operation.name == "complete_login" else "/api/v1.0/idp1/authorize"
        begun = self.person.session_call("GET", place, headers={"Sec-Fetch-Mode": "navigate"})
        sent = parse_qs(urlsplit(begun.headers["Location"]).query)
        return self.in_browser({"state": sent["state"][0], "iss": self.issuer(), **(query or {})})

    def issuer(self) -> str:
        """Of the provider that the callback is about."""
        login = self.operation.name == "complete_login"
        return (self.store.world.login if login else self.store.providers["idp1"]).issuer

    def approved(self) -> Answer:
        """The provider sends the browser back, after the person has allowed it there."""
        if self.operation.name == "complete_login":
            begun = self.person.session_call("GET", "/api/oidc/login").headers["Location"]
            came_back = StoreVisitor(self.person).approve(begun)
        else:
            came_back = self.person.callback("idp1")
        return self.in_browser(path=came_back.removeprefix(self.store.url))


class StoreVisitor:
    """The person at the login provider's pages."""

    def __init__(self, person: StorePerson) -> None:
        self._at = person.at_provider(person.login)

    def approve(self, address: str) -> str:
        return self._at.approve(address)


@dataclass(frozen=True, slots=True)
class Documented:
    """An answer that the document has: a good one, or an error in one of its shapes."""

    operation: Operation
    status: int
    shape: Shape | None = None
    slug: str | None = None
    media: str = JSON

    @property
    def outcome(self) -> str:
        """What is to be brought about: a status, or the name of an error's example."""
        return self.shape.name if self.shape else str(self.status)

    @property
    def id(self) -> str:
        """By which the test of it is known."""
        return f"{self.operation.name}-{self.outcome}" + ("-as-a-page" if self.media == PAGE else "")


def documented() -> Iterator[Documented]:
    """Everything that the document has."""
    for one in OPERATIONS:
        yield from (Documented(one, answer.status) for answer in one.answers)
        problems = [
            Documented(one, row.status, shape, row.slug) for row in one.all_problems() for shape in shapes(one, row)
        ]
        yield from problems
        if one.has_pages:
            yield from (replace(problem, media=PAGE) for problem in {each.status: each for each in problems}.values())


@pytest.fixture
def scene(store: Store, person: StorePerson) -> Callable[[Documented], Scene]:
    """An operation at the store, and somebody who is logged in, with an account linked at idp1 unless it is to be."""

    def make(wanted: Documented) -> Scene:
        one = wanted.operation
        person.log_in()
        places = {"link": person.link("idp1")} if one.name != "complete" else {}
        if "session_id" in one.path:
            places["session_id"] = person.session_call("GET", "/api/v1.0/sessions").json()[0]["id"]
        return Scene(one, store, person, places, wanted.media)

    return make


@dataclass(frozen=True, slots=True)
class Ailing:
    """Stores that something is wrong with, by the error that they answer with."""

    stores: Mapping[str, Store]


@pytest.fixture(scope="module")
def ailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ailing]:
    """Stores whose providers were never reached, whose database is gone, and whose key is another."""
    with (
        local_store(tmp_path_factory.mktemp("unreached")) as unreached,
        local_store(tmp_path_factory.mktemp("refused")) as refused,
        local_store(tmp_path_factory.mktemp("well")) as well,
        _same_database(well, tmp_path_factory.mktemp("key"), CRYPTOKEY=secrets.token_hex(32)) as other_key,
        _without_tables(well, tmp_path_factory.mktemp("tables")) as emptied,
    ):
        for provider in (unreached.world.login, *unreached.providers.values()):
            provider.knobs.set(Fault.STATUS, 503, fail_at=["discovery"])
        for provider in (refused.world.login, *refused.providers.values()):
            provider.knobs.set(Fault.METADATA_ISSUER, "https://elsewhere.example")
        yield Ailing(
            {
                "provider-unavailable": unreached,
                "provider-misconfigured": refused,
                "key-unavailable": other_key,
                "storage-unavailable": emptied,
            }
        )


@contextmanager
def _same_database(store: Store, home: Path, **settings: object) -> Iterator[Store]:
    """Another store on the same database, which already has its keys."""
    assert store.call("GET", "/readyz").status == 200
    address = Address()
    given = {**store.settings, "PUBLIC_URL": address.url, "INSTANCE_PATH": str(home), **settings}
    url = address.url
    with serving_locally(address, given):
        yield Store(url, store.world, store.database_url, given)


@contextmanager
def _without_tables(store: Store, home: Path) -> Iterator[Store]:
    """A store whose tables are gone."""
    address, database_url = Address(), f"sqlite:///{home / 'store.sqlite'}"
    given = {**store.settings, **own_settings(address.url, database_url), "INSTANCE_PATH": str(home)}
    url = address.url
    with serving_locally(address, given):
        engine = create_engine(database_url)
        metadata.drop_all(engine)
        engine.dispose()
        yield Store(url, store.world, database_url, given)


def cookie(store: Store) -> dict[str, str]:
    """A session cookie, whatever it opens, sent by a page of the store."""
    return {
        "Cookie": f"tokenstore={secrets.token_urlsafe(32)}",
        "Origin": store.origin,
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
    }


def at_ailing_store(wanted: Documented, store: Store) -> Answer:
    """Call an operation where something is wrong, in the way that gets there."""
    one, slug = wanted.operation, str(wanted.slug)
    scene = Scene(one, store, store.person(), {}, wanted.media)
    if one.name == "hear_of_logout":
        return hear(store, logout_token(store, "somebody"))
    if slug.startswith("provider-") and one.callers is Callers.ALL:
        return scene.call()
    return scene.send(scene.path({"state": "s", "code": "c"}), headers=cookie(store), **scene.body())


def logout_token(store: Store, subject: str) -> str:
    """The login provider's word that somebody logged out there."""
    login, now = store.world.login, int(time.time())
    event = "http://schemas.openid.net/event/backchannel-logout"
    claims = {"iss": login.issuer, "aud": CLIENT_ID, "sub": subject, "iat": now, "exp": now + 120}
    return login.state.keys.sign({**claims, "jti": secrets.token_hex(8), "events": {event: {}}}, typ="logout+jwt")


def hear(store: Store, token: str) -> Answer:
    return form(store, "POST", "/api/oidc/backchannel_logout", {"logout_token": token})


def form(store: Store, method: str, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
    """A request with a form for its body."""
    connection = HTTPConnection(urlsplit(store.url).netloc, timeout=30)
    try:
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        connection.request(method, path, urlencode(fields), sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()


def invalid_request(scene: Scene) -> Answer:
    """With places named."""
    match scene.operation.name:
        case "list_links":
            return scene.call({"limit": "0"})
        case "get_token" | "get_token_of_link":
            return scene.call({"min_valid": "soon"})
        case "post_token" | "post_token_of_link":
            return scene.call_with({"min_valid": "soon"})
        case "begin_in_browser":
            return scene.call({"prompt": "none"})
        case "begin":
            return scene.call_with({"prompt": "none"})
        case "change_link":
            return scene.call_with({"default": False})
    return scene.call_with({"link": "none"})


def invalid_as_a_whole(scene: Scene) -> Answer:
    match scene.operation.name:
        case "complete" | "complete_login":
            return scene.in_browser(path=scene.path() + "?state=a&state=b&code=c")
        case "log_in":
            return scene.in_browser(headers={"Sec-Fetch-Mode": "cors"})
        case "log_out":
            return scene.call()
        case "hear_of_logout":
            return hear(scene.store, "nonsense")
    return scene.call_with(["no object"])


def csrf(scene: Scene) -> Answer:
    return scene.in_browser(headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})


def policy_denied(scene: Scene) -> Answer:
    disabled = user_account.c.subject == scene.person.login.subject
    scene.store.change(user_account, disabled, disabled_at=datetime.now(UTC))
    if scene.operation.name == "complete_login":
        return scene.approved()
    eventually(lambda: scene.person.call("GET", "/api/whoami").status == 403, "the user is shut out")
    return scene.call()


def with_fault(fault: Fault, value: bool | int | str) -> Callable[[Scene], Answer]:
    """The callback while the token endpoint misbehaves."""

    def bring_about(scene: Scene) -> Answer:
        login = scene.operation.name == "complete_login"
        provider = scene.store.world.login if login else scene.store.providers["idp1"]
        provider.knobs.set(fault, value, fail_at=["token"])
        return scene.approved()

    return bring_about


def reauthorization_required(scene: Scene) -> Answer:
    """Of a link that the provider has ended, which the store knows by now."""

    def known() -> bool:
        return reauthorization_required_from_now(scene).status == 409

    eventually(known, "the link is broken")
    return scene.call()


def reauthorization_required_from_now(scene: Scene) -> Answer:
    """Of a link that the provider has ended, which the store believes by this call: it is told so a second time."""
    provider = scene.store.providers["idp1"]
    for grant in provider.state.grants(scene.person.account.subject):
        provider.state.revoke(grant)
    scene.store.let_pass(HOUR_GONE)
    scene.call()
    eventually(lambda: SUSPECTED in scene.store.audit(scene.person), "the link is in doubt")
    scene.store.let_pass(LONGEST_DOUBT)
    return scene.call()


def refresh_in_progress(scene: Scene) -> Answer:
    scene.store.let_pass(HOUR_GONE)
    scene.store.providers["idp1"].knobs.set(Fault.LATENCY, 4, times=1, fail_at=["token"])
    return scene.call()


def scope_not_granted(scene: Scene) -> Answer:
    return with_scope(scene, "admin")


def scope_not_granted_yet(scene: Scene) -> Answer:
    """One that the store asks for now, of a link that was made with fewer."""
    person = scene.store.person()
    person.log_in()
    person.browser.get(person.callback("idp1", scope="openid"), within=scene.store.origin)
    [made] = person.authorization("idp1")["links"]
    return with_scope(replace(scene, person=person, places={"link": made["id"]}), "email")


def with_scope(scene: Scene, scope: str) -> Answer:
    return scene.call({"scope": scope}) if scene.operation.method == "get" else scene.call_with({"scope": scope})


def not_linked(scene: Scene) -> Answer:
    return replace(scene, person=scene.store.person(), places={}).call()


def not_found(scene: Scene) -> Answer:
    if scene.operation.name == "begin_in_browser":
        return scene.call({"link": str(uuid4())})
    if scene.operation.name == "begin":
        return scene.call_with({"link": str(uuid4())})
    return scene.call(link=str(uuid4()), session_id=str(uuid4()), slug="nothing")


def return_url_refused(scene: Scene) -> Answer:
    away = {"return_url": "https://evil.example/"}
    return scene.call(away) if scene.operation.method == "get" else scene.call_with(away)


def unknown_provider(scene: Scene) -> Answer:
    if scene.operation.callers is Callers.BROWSER:
        return scene.in_browser(path="/api/v1.0/nowhere/redirect_uri?state=a&code=b")
    if "{provider}" not in scene.operation.path:
        # The link of a provider that is not configured any more.
        of_link = link_table.c.id == UUID(scene.places["link"])
        scene.store.change(link_table, of_link, provider_id="nowhere")
    return scene.call(provider="nowhere")


PROBLEMS: dict[str, Callable[[Scene], Answer]] = {
    "unauthenticated": lambda scene: scene.call(bearer=""),
    "invalid-token": lambda scene: scene.call(bearer="nonsense"),
    "invalid-request": invalid_request,
    "invalid-request-as-a-whole": invalid_as_a_whole,
    "csrf": csrf,
    "policy-denied": policy_denied,
    "unknown-provider": unknown_provider,
    "not-found": not_found,
    "not-linked": not_linked,
    "reauthorization-required": reauthorization_required,
    "reauthorization-required-from-now": reauthorization_required_from_now,
    "refresh-in-progress": refresh_in_progress,
    "scope-not-granted": scope_not_granted,
    "scope-not-granted-yet": scope_not_granted_yet,
    "return-url-refused": return_url_refused,
    "attempt-expired": lambda scene: scene.in_browser({"state": "unknown", "code": "c", "iss": scene.issuer()}),
    "link-denied": lambda scene: scene.callback({"error": "access_denied"}),
    "no-offline-access": with_fault(Fault.NO_REFRESH_TOKEN, True),
}
CALLBACK_PROBLEMS: dict[str, Callable[[Scene], Answer]] = {
    "provider-unavailable": with_fault(Fault.STATUS, 503),
    "provider-misconfigured": with_fault(Fault.ERROR, "invalid_client"),
}


def good(scene: Scene) -> Answer:
    """The operation when all is well."""
    match scene.operation.name:
        case "complete" | "complete_login":
            return scene.approved()
        case "begin_in_browser" | "log_in" | "ask_to_log_out":
            return scene.in_browser()
        case "log_out":
            headers = {"Cookie": cookies(scene.person), "Origin": scene.store.origin}
            return form(scene.store, "POST", "/api/oidc/logout", {"return_url": "/"}, **headers)
        case "hear_of_logout":
            return hear(scene.store, logout_token(scene.store, scene.person.login.subject))
    return scene.call()


def cookies(person: StorePerson) -> str:
    return "; ".join(f"{name}={value}" for name, value in person.browser.cookies(person.store.url).items())


@pytest.mark.parametrize("wanted", list(documented()), ids=lambda wanted: wanted.id)
def test_the_store_gives_the_answer_as_it_is_documented(
    wanted: Documented, scene: Callable[[Documented], Scene], request: pytest.FixtureRequest
) -> None:
    described = operation(wanted.operation.method, wanted.operation.path)

    answer = answer_of(wanted, scene, request)

    assert answer.status == wanted.status, answer.text
    assert answer.slug == (None if wanted.media == PAGE else wanted.slug), answer.text
    assert broken_promises(described, answer) == []
    assert differences(described, wanted, answer) == []


def differences(described: Mapping[str, Any], wanted: Documented, answer: Answer) -> list[str]:
    """In what the members of an answer, or its first word, are other than in the example of the document."""
    contents = described["responses"][str(wanted.status)].get("content", {})
    if not contents:
        return []
    media = answer.headers.get_content_type()
    content = contents[media]
    if "examples" in content:
        assert wanted.shape is not None
        assert wanted.shape.name in content["examples"]
    expected = content["example"] if "example" in content else example(wanted.outcome)
    if media.endswith("json"):
        return strays(content["schema"], expected, answer.json())
    return [] if answer.text.split()[0] == expected.split()[0] else [f"begins with {answer.text[:30]!r}"]


def test_every_example_of_an_error_is_one_that_is_brought_about() -> None:
    named = {
        (described["operationId"], name)
        for methods in DOCUMENT["paths"].values()
        for described in methods.values()
        for status, answer in described["responses"].items()
        if status != "default"
        for content in answer.get("content", {}).values()
        for name in content.get("examples", {})
    }

    assert {(one.operation.name, one.shape.name) for one in documented() if one.shape} == named


def ailing_store(slug: str, request: pytest.FixtureRequest) -> Store:
    ailing: Ailing = request.getfixturevalue("ailing")
    return ailing.stores[slug]


def answer_of(wanted: Documented, scene: Callable[[Documented], Scene], request: pytest.FixtureRequest) -> Answer:
    """Bring about one outcome of an operation."""
    one, outcome = wanted.operation, wanted.outcome
    if one.name in ("complete", "complete_login") and outcome in CALLBACK_PROBLEMS:
        return CALLBACK_PROBLEMS[outcome](scene(wanted))
    if outcome in ("provider-unavailable", "provider-misconfigured", "key-unavailable", "storage-unavailable"):
        return at_ailing_store(wanted, ailing_store(outcome, request))
    if one.name == "metrics":
        return metrics(outcome, request)
    if outcome == "account-mismatch":
        return mismatched(wanted, request.getfixturevalue("picky"))
    if outcome in PROBLEMS:
        return PROBLEMS[outcome](scene(wanted))
    if outcome == "503":
        return ailing_store("storage-unavailable", request).call("GET", one.path)
    if outcome == "303":
        return form(ailing_store("provider-unavailable", request), "POST", one.path, {})
    if outcome == "304":
        person = scene(wanted).person
        known = person.call("GET", one.path).headers["ETag"]
        return person.call("GET", one.path, headers={"If-None-Match": known})
    return good(scene(wanted))


@pytest.fixture(scope="module")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store where people may link their own account alone, and whose metrics need a token."""
    with local_store(
        tmp_path_factory.mktemp("picky"), IDP1_ACCOUNT_MATCH="sub", METRICS_TOKEN=secrets.token_hex(16)
    ) as running:
        yield running


def mismatched(wanted: Documented, store: Store) -> Answer:
    person = store.person()
    person.log_in()
    return Scene(wanted.operation, store, person, {}, wanted.media).approved()


def metrics(outcome: str, request: pytest.FixtureRequest) -> Answer:
    """The counters, which have callers of their own."""
    picky: Store = request.getfixturevalue("picky")
    match outcome:
        case "unauthenticated":
            return picky.call("GET", "/metrics")
        case "invalid-token":
            return picky.call("GET", "/metrics", bearer="nonsense")
        case "policy-denied":
            store: Store = request.getfixturevalue("store")
            return store.call("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
    return picky.call("GET", "/metrics", bearer=str(picky.settings["METRICS_TOKEN"]))

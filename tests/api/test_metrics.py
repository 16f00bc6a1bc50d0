"""`/metrics`: what is counted, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from flask.testing import FlaskClient

from demo.knobs import Fault
from support.store import API, Store, StorePerson
from support.web import small_app
from tokenstore.core.secret import Secret
from tokenstore.web.counters import Counters
from tokenstore.web.metrics import init_metrics

TOKEN = "a-token-for-the-metrics"


def numbers(text: str) -> dict[str, float]:
    """The samples of a page, by name with labels."""
    found = re.findall(r"^([a-z_]+(?:\{[^\n]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


class Since:
    """What has been counted since it was made."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before = self._now()

    def __getitem__(self, name: str) -> float:
        return self._now().get(name, 0) - self._before.get(name, 0)

    def _now(self) -> dict[str, float]:
        answer = self._store.call("GET", "/metrics")
        assert answer.status == 200, answer.text
        return numbers(answer.text)


def test_hand_outs_are_counted_by_provider_and_by_whether_they_came_from_the_cache(
    person: StorePerson, store: Store
) -> None:
    person.link("idp1")
    since = Since(store)
    person.token("idp1")
    person.token("idp1")
    store.let_pass(4000)
    person.token("idp1")

    assert since['tokenstore_hand_outs_total{cached="true",provider="idp1"}'] == 2
    assert since['tokenstore_hand_outs_total{cached="false",provider="idp1"}'] == 1
    assert since['tokenstore_refresh_wait_seconds_count{provider="idp1"}'] == 1
    assert since['tokenstore_provider_call_seconds_count{call="refresh",outcome="granted",provider="idp1"}'] == 1


def test_a_broken_link_is_counted_with_the_refusal(person: StorePerson, store: Store) -> None:
    person.link("idp1")
    store.let_pass(4000)
    store.providers["idp1"].knobs.set(Fault.ERROR, "invalid_grant")
    since = Since(store)

    assert person.token("idp1").slug == "refresh-in-progress"
    store.let_pass(31)
    assert person.token("idp1").slug == "reauthorization-required"
    assert since['tokenstore_link_broken_total{provider="idp1"}'] == 1
    assert since['tokenstore_provider_call_seconds_count{call="refresh",outcome="refused",provider="idp1"}'] == 2


def test_linking_and_unlinking_are_counted_as_calls(person: StorePerson, store: Store) -> None:
    since = Since(store)
    person.link("idp1")
    person.call("POST", f"{API}/idp1/revoke")

    for call, outcome in (("exchange", "granted"), ("identify", "identified"), ("revoke", "confirmed")):
        assert (
            since[f'tokenstore_provider_call_seconds_count{{call="{call}",outcome="{outcome}",provider="idp1"}}'] == 1
        )


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/api/v1.0/idp1/token", "/api/v1.0/<provider>/token", "401"),
        ("/nothing-here-but-words-of-the-client", "none", "404"),
        ("/healthz", "/healthz", "200"),
    ],
)
def test_requests_are_counted_by_route_and_never_by_what_clients_write(
    store: Store, path: str, route: str, status: str
) -> None:
    since = Since(store)
    store.call("GET", path)

    assert since[f'tokenstore_requests_total{{method="GET",route="{route}",status="{status}"}}'] == 1


def test_a_hand_out_that_passes_flask_by_counts_under_the_route_of_all(person: StorePerson, store: Store) -> None:
    person.link("idp1")
    since = Since(store)
    for _ in range(3):
        person.token("idp1")

    assert since['tokenstore_requests_total{method="GET",route="/api/v1.0/<provider>/token",status="200"}'] == 3


def test_odd_methods_share_one_name(store: Store) -> None:
    since = Since(store)
    store.call("BREW", "/")

    assert since['tokenstore_requests_total{method="other",route="none",status="405"}'] == 1


def reader(token: str = "", *, hops: int = 0) -> FlaskClient:
    app = small_app(proxy_hops=hops)
    init_metrics(app, Counters(), Secret(token))
    return app.test_client()


def status(client: FlaskClient, peer: str, headers: Mapping[str, str] | None = None) -> int:
    return client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_callers_on_this_machine_may_read(peer: str) -> None:
    assert status(reader(), peer) == 200


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "10.0.0.1", "", "unix"])
def test_without_a_token_nobody_else_may_read(peer: str) -> None:
    assert status(reader(), peer) == 403


@pytest.mark.parametrize("hops", [0, 1, 2])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1, 192.0.2.7"},
        {"X-Forwarded-For": "192.0.2.7, 127.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1, unknown"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Anything": ""},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Forwarded": "for=127.0.0.1"},
    ],
)
def test_a_caller_behind_a_proxy_on_this_machine_may_not_read(headers: Mapping[str, str], hops: int) -> None:
    assert status(reader(hops=hops), "127.0.0.1", headers) == 403


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_a_forged_address_makes_nobody_local(hops: int) -> None:
    assert status(reader(hops=hops), "192.0.2.7", {"X-Forwarded-For": "127.0.0.1, 127.0.0.1"}) == 403


@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.7"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
        ({}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer é"}, 401),
    ],
)
def test_with_a_token_whoever_sends_it_may_read(headers: Mapping[str, str], peer: str, expected: int) -> None:
    assert status(reader(TOKEN), peer, headers) == expected

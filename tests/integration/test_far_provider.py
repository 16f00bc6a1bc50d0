"""The demo provider in a process of its own: what tests of many links arrange there and ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest

from demo.knobs import Fault
from support.far_provider import FarProvider, far_provider


@pytest.fixture(scope="module")
def far() -> Iterator[FarProvider]:
    """A strict provider."""
    with far_provider() as running:
        yield running


def refresh(far: FarProvider, token: str, timeout: float = 10) -> int:
    """The status of the answer to a refresh request."""
    parameters = {"grant_type": "refresh_token", "refresh_token": token, "client_id": far.client_id}
    body = urlencode(parameters | {"client_secret": far.client_secret})
    connection = HTTPConnection(far.issuer.removeprefix("http://"), timeout=timeout)
    try:
        connection.request("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_grants_are_given_to_many_at_once(far: FarProvider) -> None:
    granted = far.grant(3)

    assert len({one.subject for one in granted}) == 3
    assert {refresh(far, one.refresh_token) for one in granted} == {200}


def test_families_tell_of_reuse(far: FarProvider) -> None:
    [used, unused] = far.grant(2)
    refresh(far, used.refresh_token)
    refresh(far, used.refresh_token)

    families = far.families([used.subject, unused.subject])

    assert families[used.subject] == [{"revoked": True, "reuses": 1, "live": 0}]
    assert families[unused.subject] == [{"revoked": False, "reuses": 0, "live": 1}]


def test_calls_are_told_from_a_number_on_with_their_beginning_and_end(far: FarProvider) -> None:
    [one] = far.grant(1)
    before = len(far.calls())

    refresh(far, one.refresh_token)

    [made] = far.refreshes(before)
    assert made["at"] <= made["ended"]


def test_an_answer_can_come_late_though_everything_was_done(far: FarProvider) -> None:
    [one] = far.grant(1)
    far.set(Fault.LATENCY_AFTER, 30.0, times=1)
    before = len(far.calls())

    with pytest.raises(TimeoutError):
        refresh(far, one.refresh_token, timeout=1)

    [made] = far.refreshes(before)
    assert made["outcome"] == "200"

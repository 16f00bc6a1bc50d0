"""Each knob of the demo providers does what it says, over real HTTP."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from joserfc import jwt

from demo.calls import fingerprint
from demo.knobs import Fault, Knobs
from demo.server import RunningProvider
from support.relying_party import RelyingParty, demo_config


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with RunningProvider(demo_config()) as running:
        yield running


@pytest.fixture
def party(provider: RunningProvider) -> Iterator[RelyingParty]:
    yield RelyingParty(provider)
    provider.knobs.clear()


@pytest.fixture
def token(party: RelyingParty) -> str:
    """A refresh token that has not been used."""
    return str(party.link()["refresh_token"])


def test_latency_delays_the_answer(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.LATENCY, 0.3)
    begun = time.monotonic()

    assert party.refresh(token).status == 200
    assert time.monotonic() - begun >= 0.3


def test_status_is_answered_with_retry_after_and_nothing_done(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.STATUS, 429, times=1)
    party.provider.knobs.set(Fault.RETRY_AFTER, 7)

    answer = party.refresh(token)

    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert party.refresh(token).status == 200


def test_a_body_is_answered_as_it_is_and_nothing_done(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.BODY, '["odd"]', times=1)

    answer = party.refresh(token)

    assert (answer.status, answer.body) == (200, b'["odd"]')
    assert party.refresh(token).status == 200


def test_a_truncated_answer_ends_in_its_middle_with_everything_done(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.TRUNCATED, times=1)

    with pytest.raises(http.client.IncompleteRead):
        party.refresh(token)
    assert party.refresh(token).status == 400


def test_an_answer_drips(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.DRIP, 0.001, times=1)
    begun = time.monotonic()

    answer = party.refresh(token)

    assert "access_token" in answer.fields
    assert time.monotonic() - begun >= 0.001 * len(answer.body)


def test_dropped_before_anything_was_done_leaves_the_token_unused(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.DROP_BEFORE, times=1)

    with pytest.raises(http.client.RemoteDisconnected):
        party.refresh(token)

    assert party.refresh(token).status == 200


def test_dropped_after_rotation_leaves_the_token_used(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.DROP_AFTER, times=1)

    with pytest.raises(http.client.RemoteDisconnected):
        party.refresh(token)

    assert party.provider.calls.all()[-1].outcome == "dropped"
    assert party.refresh(token).fields["error"] == "invalid_grant"
    assert party.provider.state.is_family_revoked(token)


@pytest.mark.parametrize(("code", "status"), [("invalid_grant", 400), ("invalid_client", 401), ("invalid_scope", 400)])
def test_error_is_answered_without_harm(party: RelyingParty, token: str, code: str, status: int) -> None:
    party.provider.knobs.set(Fault.ERROR, code, times=1)

    answer = party.refresh(token)

    assert (answer.status, answer.fields["error"]) == (status, code)
    assert party.refresh(token).status == 200


def test_error_with_200_changes_the_status_of_real_errors_too(party: RelyingParty) -> None:
    party.provider.knobs.set(Fault.ERROR_WITH_200)

    answer = party.refresh("unknown")

    assert (answer.status, answer.fields["error"]) == (200, "invalid_grant")


def test_without_refresh_token_in_the_answer_the_old_one_stays(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.NO_REFRESH_TOKEN, times=1)

    assert "refresh_token" not in party.refresh(token).fields
    assert party.refresh(token).status == 200


def test_without_expires_in_the_token_still_ends(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.NO_EXPIRES_IN)
    party.provider.knobs.set(Fault.EXPIRES_IN, 0)

    answer = party.refresh(token).fields

    assert "expires_in" not in answer
    assert party.userinfo(answer["access_token"]).status == 401


def test_lifetime_of_access_tokens_can_be_shortened(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.EXPIRES_IN, 5)

    assert party.refresh(token).fields["expires_in"] == 5


def test_form_encoded_answers_a_form(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.FORM_ENCODED)

    answer = party.refresh(token)

    assert answer.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert (answer.fields["token_type"], answer.fields["expires_in"]) == ("Bearer", "3600")


def test_html_body_is_html_with_status_200(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.HTML_BODY)

    answer = party.refresh(token)

    assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")


def test_huge_body_has_the_size_asked_for(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.HUGE_BODY, 1_000_000)

    answer = party.refresh(token)

    assert len(answer.body) == 1_000_000
    assert answer.fields.keys() == {"access_token"}


def test_token_type_can_be_wrong(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.TOKEN_TYPE, "mac")

    assert party.refresh(token).fields["token_type"] == "mac"


def test_scope_can_be_granted_narrower(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.NARROW_SCOPE, "openid")

    answer = party.refresh(token).fields

    assert answer["scope"] == "openid"
    assert party.userinfo(answer["access_token"]).fields.keys() == {"sub"}


def test_redirect_is_a_307_to_the_given_host(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.REDIRECT, "http://127.0.0.2:9/catch")

    answer = party.refresh(token)

    assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.2:9/catch")


def test_id_token_can_be_about_somebody_else(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.ID_TOKEN_SUBJECT, "mallory")

    id_token = party.refresh(token).fields["id_token"]

    assert jwt.decode(id_token, party.provider.state.keys.key_set(), ["RS256"]).claims["sub"] == "mallory"


def test_iss_of_the_callback_can_be_wrong_or_missing(party: RelyingParty) -> None:
    party.provider.knobs.set(Fault.CALLBACK_ISS, "https://other.example", times=1)
    assert party.callback()["iss"] == "https://other.example"

    party.provider.knobs.set(Fault.NO_CALLBACK_ISS, times=1)
    assert "iss" not in party.callback()
    assert party.callback()["iss"] == party.provider.issuer


def test_metadata_can_claim_another_issuer(party: RelyingParty) -> None:
    party.provider.knobs.set(Fault.METADATA_ISSUER, "https://other.example")

    assert party.send("GET", "/.well-known/openid-configuration").fields["issuer"] == "https://other.example"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("discovery", "/.well-known/openid-configuration"), ("jwks", "/jwks"), ("userinfo", "/userinfo")],
)
def test_fault_strikes_where_it_is_told_to(party: RelyingParty, token: str, endpoint: str, path: str) -> None:
    party.provider.knobs.set(Fault.STATUS, 503, fail_at={endpoint})

    assert party.send("GET", path).status == 503
    assert party.refresh(token).status == 200


def test_revocation_can_fail_and_then_work(party: RelyingParty, token: str) -> None:
    party.provider.knobs.set(Fault.STATUS, 500, fail_at={"revoke"}, times=1)

    assert party.revoke(token).status == 500
    assert party.revoke(token).status == 200
    assert party.provider.state.is_family_revoked(token)


def test_stopping_ends_a_hanging_call() -> None:
    with RunningProvider(demo_config()) as provider, ThreadPoolExecutor(1) as pool:
        provider.knobs.set(Fault.HANG)
        answer = pool.submit(RelyingParty(provider).refresh, "unknown")
        provider.calls.wait_for(1, "token", "refresh_token")
        provider.stop()

        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer.result(timeout=10)


def test_hundred_concurrent_calls_are_served_together() -> None:
    with RunningProvider(demo_config()) as provider, ThreadPoolExecutor(100) as pool:
        party = RelyingParty(provider)
        provider.knobs.set(Fault.LATENCY, 0.5)
        begun = time.monotonic()
        answers = list(pool.map(party.refresh, ["unknown"] * 100))

        assert {answer.status for answer in answers} == {400}
        assert time.monotonic() - begun < 10  # one after another would take 50 s


def test_call_log_tells_calls_apart_without_their_secrets(party: RelyingParty, token: str) -> None:
    before = party.provider.calls.count("token", "refresh_token")

    party.refresh(token, scope="openid", resource="https://api.example")

    call = party.provider.calls.all("token")[-1]
    assert party.provider.calls.count("token", "refresh_token") == before + 1
    assert call.refresh_fingerprint == fingerprint(token)
    assert call.outcome == "200"
    assert call.parameters == (
        ("grant_type", "refresh_token"),
        ("refresh_token", ""),
        ("scope", "openid"),
        ("resource", "https://api.example"),
    )


def test_knob_counts_down_and_is_off() -> None:
    knobs = Knobs()
    knobs.set(Fault.STATUS, 503, times=2)

    assert [knobs.take(Fault.STATUS, "token") for _ in range(3)] == [503, 503, None]
    assert knobs.on() == {}


def test_knob_without_a_count_stays_until_cleared() -> None:
    knobs = Knobs()
    knobs.set(Fault.LATENCY, 1.5)

    assert [knobs.take(Fault.LATENCY, "token") for _ in range(3)] == [1.5, 1.5, 1.5]
    knobs.clear(Fault.LATENCY)
    assert knobs.take(Fault.LATENCY, "token") is None


def test_knob_refuses_an_endpoint_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no such endpoint: tokens"):
        Knobs().set(Fault.STATUS, 503, fail_at={"tokens"})

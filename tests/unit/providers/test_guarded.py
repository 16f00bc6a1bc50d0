"""The provider client behind breakers: what counts, and what each call answers where nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from support.core_world import provider
from support.fake_provider import FakeProviderClient, granted
from support.tallies import Tallies
from tokenstore.core.gate import Pause
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    PAUSED,
    Asked,
    Attempt,
    Misconfigured,
    Outcome,
    ProviderId,
    Purpose,
    Refused,
    RevocationResult,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderUnavailable
from tokenstore.providers.breakers import Breakers
from tokenstore.providers.guarded import GuardedClient

IDP = provider()
ATTEMPT = Attempt(
    state=Secret("state"),
    nonce=Secret("nonce"),
    code_verifier=Secret("verifier"),
    purpose=Purpose.LINK,
    provider_id=IDP.id,
    user=None,
    session_key=None,
    return_url="/",
    scopes=(),
    redirect_uri=IDP.redirect_uri,
    expires_at=datetime(2030, 1, 1, tzinfo=UTC),
)
DEAD = Unavailable("connect")


@dataclass
class Guard:
    """A guarded client over a scripted one, with time of its own."""

    client: FakeProviderClient = field(default_factory=FakeProviderClient)
    tallies: Tallies = field(default_factory=Tallies)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.tallies, lambda: self.now)
        self.guarded = GuardedClient(self.client, self.breakers)

    def refresh(self, outcome: Outcome | Exception | None = None) -> Outcome:
        """A refresh that the provider answers so, if it is sent."""
        self.client.refreshes = [] if outcome is None else [outcome]
        return self.guarded.refresh(IDP, Secret("refresh-1"), Asked(), frozenset())

    def exchange(self, outcome: Outcome) -> Outcome:
        """A code that is redeemed, which the provider answers so if it is sent."""
        self.client.exchanges = [outcome]
        return self.guarded.exchange(IDP, ATTEMPT, Secret("code"))

    def shut(self, *, code: str | None = None) -> None:
        """Have the provider left alone."""
        if code is not None:
            self.refresh(Misconfigured(code))
        else:
            for _ in range(20):
                self.refresh(DEAD)
        assert self.pause is not None

    @property
    def pause(self) -> Pause | None:
        """What the gate says."""
        return self.breakers.pause(IDP.id)


@pytest.mark.parametrize("outcome", [DEAD, Unavailable("status-429"), Unavailable("status-503"), Unclear("timeout")])
def test_twenty_calls_without_a_good_answer_shut_the_gate(outcome: Outcome) -> None:
    guard = Guard()
    for _ in range(20):
        assert guard.pause is None
        guard.refresh(outcome)
    assert guard.pause == Pause(timedelta(seconds=10), misconfigured=False)


@pytest.mark.parametrize(
    "outcome",
    [
        granted(),
        Refused("invalid_grant"),
        Refused(ACCOUNT_CHANGED),
        ScopeRefused("invalid_scope"),
        ScopeRefused("invalid_target"),
        Misconfigured("invalid_request"),
        Misconfigured("status-404"),
        Misconfigured("address-refused"),
    ],
)
def test_an_answer_never_shuts_the_gate_whatever_it_says_of_the_request(outcome: Outcome) -> None:
    guard = Guard()
    for _ in range(100):
        assert guard.refresh(outcome) == outcome
    assert guard.pause is None


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "status-401"])
def test_one_refusal_of_this_service_shuts_the_gate(code: str) -> None:
    guard = Guard()
    guard.refresh(Misconfigured(code))
    assert guard.pause == Pause(timedelta(seconds=10), misconfigured=True)


@pytest.mark.parametrize("outcome", [DEAD, Unclear("nonsense"), Misconfigured("invalid_client")])
def test_what_a_caller_asks_for_beyond_the_plain_token_shuts_the_gate_for_nobody(outcome: Outcome) -> None:
    guard = Guard()
    for _ in range(40):
        guard.client.refreshes = [outcome]
        guard.guarded.refresh(IDP, Secret("refresh-1"), Asked(audience="theirs"), frozenset())
    assert guard.breakers.pause(IDP.id) is None


def test_metadata_that_cannot_be_had_counts_as_a_failure_of_every_call() -> None:
    guard = Guard()
    guard.client.start = guard.client.issuer = guard.client.account = away = ProviderUnavailable("away")
    calls: list[Callable[[], object]] = [
        lambda: guard.guarded.authorization_url(IDP, ATTEMPT),
        lambda: guard.guarded.callback_issuer(IDP),
        lambda: guard.guarded.identify(IDP, ATTEMPT, TokenSet(Secret("a"))),
        lambda: guard.refresh(away),
    ]
    for _ in range(5):
        for call in calls:
            assert guard.pause is None
            with pytest.raises(ProviderUnavailable):
                call()
    assert guard.pause is not None


def test_another_provider_goes_on() -> None:
    guard = Guard()
    guard.shut()
    assert guard.breakers.pause(ProviderId("another")) is None


def test_a_refresh_that_is_not_sent_says_for_how_long() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 4
    sent = len(guard.client.refresh_calls)
    assert guard.refresh() == Unavailable(PAUSED, timedelta(seconds=6))
    assert len(guard.client.refresh_calls) == sent


def test_a_refresh_that_is_not_sent_repeats_what_was_said_of_this_service() -> None:
    guard = Guard()
    guard.shut(code="invalid_client")
    assert guard.refresh() == Misconfigured("invalid_client")


def test_everything_but_a_logout_is_refused_at_once_where_a_provider_gives_no_answers() -> None:
    guard = Guard()
    guard.shut()
    for call in (
        lambda: guard.guarded.authorization_url(IDP, ATTEMPT),
        lambda: guard.guarded.callback_issuer(IDP),
        lambda: guard.guarded.exchange(IDP, ATTEMPT, Secret("code")),
        lambda: guard.guarded.identify(IDP, ATTEMPT, TokenSet(Secret("a"))),
    ):
        with pytest.raises(ProviderUnavailable) as caught:
            call()
        assert caught.value.retry_after == timedelta(seconds=10)
    assert guard.guarded.revoke(IDP, Secret("refresh-1")) is RevocationResult.FAILED
    assert guard.guarded.end_session_url(IDP, None, "/") is None
    assert (guard.client.begun, guard.client.exchanged, guard.client.identified, guard.client.revoked) == ([],) * 4


def test_the_provider_answers_again_and_so_does_the_gate() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 10
    assert guard.pause is None
    assert guard.refresh(granted()) == granted()
    assert guard.pause is None
    assert guard.tallies.breakers == [("idp1", False), ("idp1", True), ("idp1", False)]


def test_only_the_first_of_those_who_come_after_the_pause_is_sent() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 10
    guard.refresh(DEAD)
    assert guard.refresh() == Unavailable(PAUSED, timedelta(seconds=10))


def test_an_address_made_from_what_is_known_neither_probes_nor_proves_anything() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 10
    guard.guarded.authorization_url(IDP, ATTEMPT)
    guard.guarded.callback_issuer(IDP)
    assert guard.refresh(granted()) == granted()


def test_a_code_redeemed_after_the_pause_is_a_probe() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 10
    assert guard.exchange(granted()) == granted()
    assert guard.pause is None


def test_linking_goes_on_where_this_service_is_refused_and_shows_at_once_that_it_is_no_more() -> None:
    guard = Guard()
    guard.shut(code="invalid_client")
    guard.guarded.authorization_url(IDP, ATTEMPT)
    guard.guarded.callback_issuer(IDP)
    assert guard.pause is not None
    assert guard.exchange(granted()) == granted()
    guard.guarded.identify(IDP, ATTEMPT, TokenSet(Secret("a")))
    assert guard.pause is None


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "status-401"])
def test_a_linking_in_which_this_service_is_refused_holds_back_nobody(code: str) -> None:
    guard = Guard()
    for _ in range(40):
        assert guard.exchange(Misconfigured(code)) == Misconfigured(code)
    assert guard.pause is None


def test_a_linking_in_which_this_service_is_refused_shows_that_the_provider_answers() -> None:
    guard = Guard()
    guard.shut()
    guard.now += 10
    guard.exchange(Misconfigured("invalid_client"))
    assert guard.pause is None


def test_a_linking_in_which_this_service_is_still_refused_takes_no_probe_away() -> None:
    guard = Guard()
    guard.shut(code="invalid_client")
    guard.now += 10
    guard.exchange(Misconfigured("invalid_client"))
    assert guard.refresh(granted()) == granted()
    assert guard.pause is None


@pytest.mark.parametrize("result", [RevocationResult.FAILED, RevocationResult.CONFIRMED])
@pytest.mark.parametrize("code", [None, "invalid_client"])
def test_revocations_never_take_the_probe_of_a_refresh(code: str | None, result: RevocationResult) -> None:
    guard = Guard()
    guard.client.revocation = result
    guard.shut(code=code)
    for _ in range(100):
        guard.now += 1
        guard.guarded.revoke(IDP, Secret("refresh-1"))
    assert guard.refresh(granted()) == granted()
    assert guard.pause is None


def test_a_revocation_goes_out_now_and_then_where_nobody_has_wanted_the_probe() -> None:
    guard = Guard()
    guard.shut()
    sent = []
    for _ in range(45):
        guard.now += 1
        if guard.guarded.revoke(IDP, Secret("refresh-1")) is RevocationResult.CONFIRMED:
            sent.append(guard.now)
    assert sent == [1020, 1030, 1040]


def test_confirmed_revocations_hide_no_failing_refreshes_and_take_no_provider_back() -> None:
    guard = Guard()
    for _ in range(20):
        assert guard.pause is None
        guard.refresh(DEAD)
        for _ in range(2):
            guard.guarded.revoke(IDP, Secret("refresh-1"))
    guard.now += 20
    assert guard.guarded.revoke(IDP, Secret("refresh-1")) is RevocationResult.CONFIRMED
    guard.refresh(DEAD)
    assert guard.pause is not None


def test_failed_revocations_do_not_shut_the_gate() -> None:
    guard = Guard()
    guard.client.revocation = RevocationResult.FAILED
    for _ in range(40):
        guard.guarded.revoke(IDP, Secret("refresh-1"))
    assert guard.pause is None

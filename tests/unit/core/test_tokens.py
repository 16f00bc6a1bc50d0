"""Handing out tokens: what is fresh enough, when a refresh is wanted, and what is answered when there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from support.core_world import ADA, CALLER, World, provider
from support.fake_provider import granted
from tokenstore.core.model import (
    Asked,
    AuditEvent,
    CallerKind,
    Granted,
    HandOut,
    Identity,
    LinkState,
    Outcome,
    Refused,
    ScopeRefused,
    TokenSet,
    Unavailable,
)
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import handed_out, wants_refresh_ahead
from tokenstore.errors import (
    NotLinked,
    PolicyDenied,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshInProgress,
    ScopeNotGranted,
    StorageUnavailable,
    UnknownProvider,
)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def held_back(gate: threading.Event, outcome: Outcome) -> Callable[[], Outcome]:
    """A provider that answers when the gate opens."""

    def answer() -> Outcome:
        assert gate.wait(30)
        return outcome

    return answer


def get(
    world: World, *, min_valid: float = 60, force: bool = False, asked: Asked = Asked(), may_refresh: bool = True
) -> HandOut:
    """The token of the default link."""
    return world.tokens.fresh_token(
        CALLER,
        world.provider.id,
        asked=asked,
        min_valid=timedelta(seconds=min_valid),
        force=force,
        may_refresh=may_refresh,
    )


def test_a_fresh_token_is_answered_from_the_cache_without_a_provider_call(world: World) -> None:
    link = world.link(seconds=3600, age=100)
    got = get(world)
    token = world.holding(link).token
    assert token is not None
    assert got == HandOut(link.id, token, timedelta(seconds=3500), cached=True)


def test_a_link_is_chosen_by_its_id(world: World) -> None:
    world.link(subject="first")
    second = world.link(subject="second")
    assert world.tokens.fresh_token(CALLER, "idp1", link_id=second.id).link_id == second.id


def test_without_an_id_the_default_link_is_meant(world: World) -> None:
    first = world.link(subject="first")
    world.link(subject="second")
    assert world.tokens.fresh_token(CALLER, "idp1").link_id == first.id


def test_a_token_of_unknown_expiry_is_handed_out_until_it_is_refused(world: World) -> None:
    world.link(seconds=None, age=1_000_000)
    assert get(world, min_valid=86_400).expires_in is None


def test_a_link_without_refresh_token_is_served_to_the_end_of_its_access_token(world: World) -> None:
    world.link(seconds=3600, age=3590, refresh=None)
    assert get(world).expires_in == timedelta(seconds=10)


def test_a_link_without_refresh_token_asks_for_the_person_after_the_end(world: World) -> None:
    world.link(seconds=3600, age=3600, refresh=None)
    with pytest.raises(ReauthorizationRequired):
        get(world)


def test_a_broken_link_still_gives_its_valid_token(world: World) -> None:
    link = world.link(seconds=3600, age=100)
    world.change(link, state=LinkState.BROKEN)
    assert get(world).cached


def test_min_valid_counts_to_the_second(world: World) -> None:
    world.link(seconds=3600, age=3000, refresh=None)
    assert get(world, min_valid=600).expires_in == timedelta(seconds=600)


def test_a_token_that_will_not_last_for_min_valid_is_refreshed(world: World) -> None:
    link = world.link(seconds=3600, age=3000)
    world.client.refreshes = [granted("new")]
    got = get(world, min_valid=601)
    assert (got.link_id, got.token.value.reveal(), got.cached) == (link.id, "new", False)


def test_for_a_short_lived_token_half_its_lifetime_is_enough(world: World) -> None:
    world.link(seconds=60, age=30)
    world.client.refreshes = [granted("ahead")]
    assert get(world, min_valid=300).expires_in == timedelta(seconds=30)


def test_a_short_lived_token_past_half_its_lifetime_is_refreshed(world: World) -> None:
    world.link(seconds=60, age=31)
    world.client.refreshes = [granted("new", seconds=60)]
    assert not get(world, min_valid=300).cached


def test_a_token_that_was_just_refreshed_is_handed_out_however_short_it_lives(world: World) -> None:
    world.link(seconds=3600, age=4000)
    world.client.refreshes = [granted("new", seconds=1)]
    assert get(world, min_valid=600).expires_in == timedelta(seconds=1)


def test_fifty_callers_of_an_expired_token_cause_one_provider_call(world: World, gate: threading.Event) -> None:
    world.link(seconds=3600, age=4000)
    world.client.refreshes = [held_back(gate, granted("new"))]
    tokens = world.tokens
    with ThreadPoolExecutor(50) as threads:
        answers = [threads.submit(tokens.fresh_token, CALLER, "idp1") for _ in range(50)]
        gate.set()
        assert {answer.result(30).token.value.reveal() for answer in answers} == {"new"}
    assert len(world.client.refresh_calls) == 1


def test_one_who_waited_too_long_for_a_first_token_is_told_to_come_back_in_a_second(gate: threading.Event) -> None:
    world = World(wait_seconds=0.05)
    world.link(seconds=3600, age=4000)
    world.client.refreshes = [held_back(gate, granted())]
    with pytest.raises(RefreshInProgress) as caught:
        get(world)
    assert caught.value.retry_after == timedelta(seconds=1)
    gate.set()
    world.flights.close()


def test_the_refresh_goes_on_when_its_caller_has_left(gate: threading.Event) -> None:
    world = World(wait_seconds=0.05)
    link = world.link(seconds=3600, age=4000)
    world.client.refreshes = [held_back(gate, granted("new"))]
    with pytest.raises(RefreshInProgress):
        get(world)
    gate.set()
    world.flights.close()
    token = world.holding(link).token
    assert token is not None
    assert token.value.reveal() == "new"


def test_inside_the_margin_the_present_token_is_answered_at_once_and_a_refresh_begins(
    world: World, gate: threading.Event
) -> None:
    link = world.link(seconds=3600, age=3400)
    world.client.refreshes = [held_back(gate, granted("new"))]
    assert get(world).token.value.reveal() == "access-1"
    gate.set()
    world.flights.close()
    token = world.holding(link).token
    assert token is not None
    assert token.value.reveal() == "new"


def test_a_reader_who_may_not_refresh_begins_no_refresh_ahead(world: World) -> None:
    world.link(seconds=3600, age=3400)
    assert get(world, may_refresh=False).cached
    world.flights.close()
    assert world.client.refresh_calls == []


@pytest.mark.parametrize("changes", [{"state": LinkState.BROKEN}, {"client_id": "other"}, {"has_refresh_token": False}])
def test_there_is_no_refresh_ahead_where_a_refresh_cannot_be(world: World, changes: dict[str, object]) -> None:
    link = world.link(seconds=3600, age=3400)
    world.change(link, **changes)
    assert not wants_refresh_ahead(world.provider, world.holding(link))


def test_there_is_no_refresh_ahead_while_somebody_refreshes_or_the_link_backs_off(world: World) -> None:
    link = world.link(seconds=3600, age=3400)
    assert wants_refresh_ahead(world.provider, world.holding(link))
    world.change(link, lease_until=world.now + timedelta(seconds=1))
    assert not wants_refresh_ahead(world.provider, world.holding(link))
    world.change(link, lease_until=None, next_try_at=world.now + timedelta(seconds=1))
    assert not wants_refresh_ahead(world.provider, world.holding(link))


def test_a_stopping_process_still_hands_out_what_is_good(world: World) -> None:
    world.link(seconds=3600, age=3400)
    world.flights.close()
    assert get(world).cached


def test_a_stopping_process_that_has_no_token_says_to_ask_again(world: World) -> None:
    world.link(seconds=3600, age=4000)
    world.flights.close()
    with pytest.raises(RefreshInProgress):
        get(world)


def test_a_provider_whose_refresh_ends_access_is_left_alone_until_the_token_expired() -> None:
    world = World(provider(refresh_ends_access=True))
    world.link(seconds=3600, age=3530)
    assert get(world).cached
    world.flights.close()
    assert world.client.refresh_calls == []


def test_force_brings_a_new_token_though_the_present_one_is_good(world: World) -> None:
    world.link(seconds=3600, age=31)
    world.client.refreshes = [granted("new")]
    assert get(world, force=True).token.value.reveal() == "new"


def test_force_is_answered_from_a_refresh_that_is_younger_than_thirty_seconds(world: World) -> None:
    world.link(seconds=3600, age=100)
    world.client.refreshes = [granted("new")]
    get(world, force=True)
    world.advance(29)
    assert get(world, force=True).cached


def test_force_refreshes_again_after_thirty_seconds(world: World) -> None:
    world.link(seconds=3600, age=100)
    world.client.refreshes = [granted("new"), granted("newer")]
    get(world, force=True)
    world.advance(30)
    assert get(world, force=True).token.value.reveal() == "newer"


def test_force_does_not_fall_back_to_the_present_token(world: World) -> None:
    world.link(seconds=3600, age=100)
    world.client.refreshes = [Unavailable("status-503")]
    with pytest.raises(ProviderUnavailable):
        get(world, force=True)


def test_force_refreshes_a_token_of_unknown_expiry(world: World) -> None:
    world.link(seconds=None, age=100)
    world.client.refreshes = [granted("new")]
    assert get(world, force=True).token.value.reveal() == "new"


def test_force_on_a_link_without_refresh_token_gives_what_there_is(world: World) -> None:
    world.link(seconds=None, age=100, refresh=None)
    assert get(world, force=True).cached


def test_a_loser_is_answered_with_the_present_token_at_once(world: World) -> None:
    link = world.link(seconds=3600, age=3560)
    world.change(link, lease_until=world.now + timedelta(seconds=20))
    assert get(world).expires_in == timedelta(seconds=40)
    assert world.time.slept == []


def test_a_loser_without_a_living_token_polls_until_the_other_has_refreshed(world: World) -> None:
    link = world.link(seconds=3600, age=3596)
    lease = world.stores.links.take_lease(world.row(link).link, "node-2", timedelta(seconds=20))
    assert lease is not None
    world.advance(1)
    tokens = TokenSet(Secret("theirs"), expires_in=timedelta(seconds=3600))
    event = AuditEvent("token.refresh", "success")
    world.time.meanwhile = lambda: world.stores.links.save_refreshed(
        lease, world.provider, tokens, Asked(), timedelta(), event
    )
    assert get(world).token.value.reveal() == "theirs"


def test_a_loser_that_finds_no_token_in_time_is_told_so(world: World) -> None:
    link = world.link(seconds=3600, age=4000)
    world.change(link, lease_until=world.now + timedelta(seconds=20))
    world.row(link).lease_owner = "node-2"
    with pytest.raises(RefreshInProgress):
        get(world)


def test_in_an_outage_the_present_token_is_handed_out_while_it_lives(world: World) -> None:
    world.link(seconds=3600, age=3590)
    world.client.refreshes = [Unavailable("status-503")]
    got = get(world)
    assert (got.cached, got.expires_in) == (True, timedelta(seconds=10))


def test_in_an_outage_a_token_with_less_than_five_seconds_is_not_handed_out(world: World) -> None:
    world.link(seconds=3600, age=3596)
    world.client.refreshes = [Unavailable("status-503")]
    with pytest.raises(ProviderUnavailable):
        get(world)


def test_in_an_outage_a_tenth_of_a_short_life_is_worth_handing_out(world: World) -> None:
    world.link(seconds=20, age=17)
    world.client.refreshes = [Unavailable("status-503")]
    assert get(world).expires_in == timedelta(seconds=3)


def test_while_backing_off_the_present_token_is_handed_out_without_a_call(world: World) -> None:
    link = world.link(seconds=3600, age=3590)
    world.change(link, next_try_at=world.now + timedelta(seconds=60))
    assert get(world).cached


def test_while_backing_off_without_a_token_the_answer_says_until_when(world: World) -> None:
    link = world.link(seconds=3600, age=4000)
    world.change(link, next_try_at=world.now + timedelta(seconds=60))
    with pytest.raises(ProviderUnavailable) as caught:
        get(world)
    assert caught.value.retry_after == timedelta(seconds=60)


def test_a_token_that_ended_during_the_wait_is_not_handed_out(world: World) -> None:
    world.link(seconds=3600, age=3590)

    def slowly_unavailable() -> Outcome:
        world.advance(20)
        return Unavailable("status-503")

    world.client.refreshes = [slowly_unavailable]
    with pytest.raises(ProviderUnavailable):
        get(world)


def test_nothing_is_handed_out_after_an_unlink_during_the_refresh(world: World) -> None:
    world.link(seconds=3600, age=3590)

    def unlinked_meanwhile() -> Outcome:
        world.stores.links.unlink(ADA, world.provider.id, None, AuditEvent("link.removed", "success"))
        return granted("too late")

    world.client.refreshes = [unlinked_meanwhile]
    with pytest.raises(NotLinked):
        get(world)


def test_a_broken_link_without_a_token_asks_for_the_person_and_says_since_when(world: World) -> None:
    link = world.link(seconds=3600, age=4000)
    world.change(link, state=LinkState.BROKEN, last_error_at=world.now)
    with pytest.raises(ReauthorizationRequired) as caught:
        get(world)
    assert (caught.value.provider_id, caught.value.since) == ("idp1", world.now)


def test_a_link_of_another_client_id_asks_for_the_person(world: World) -> None:
    link = world.link(seconds=3600, age=4000)
    world.change(link, client_id="former-client")
    with pytest.raises(ReauthorizationRequired) as caught:
        get(world)
    clients = f"linked with client former-client, the settings name {world.provider.client_id}"
    assert (caught.value.debug, "former-client" in caught.value.detail) == (clients, False)


def test_a_database_that_is_down_is_said_to_be_down(world: World) -> None:
    world.link()
    world.stores.database.down = True
    with pytest.raises(StorageUnavailable):
        get(world)


def test_a_reader_who_may_not_refresh_gets_a_fresh_token(world: World) -> None:
    world.link(age=100)
    assert get(world, may_refresh=False).cached


def test_a_reader_who_may_not_refresh_gets_the_present_token_while_it_lives(world: World) -> None:
    world.link(seconds=3600, age=3590)
    assert get(world, may_refresh=False).cached


@pytest.mark.parametrize("force", [False, True])
def test_a_reader_who_may_not_refresh_is_sent_to_get_for_an_expired_token(world: World, *, force: bool) -> None:
    world.link(seconds=3600, age=4000)
    with pytest.raises(RefreshInProgress):
        get(world, may_refresh=False, force=force)
    assert world.client.refresh_calls == []


def test_a_reader_who_may_not_refresh_hears_the_truth_about_a_broken_link(world: World) -> None:
    link = world.link(seconds=3600, age=4000)
    world.change(link, state=LinkState.BROKEN)
    with pytest.raises(ReauthorizationRequired):
        get(world, may_refresh=False)


def test_a_narrower_scope_is_a_variant_with_a_token_of_its_own(world: World) -> None:
    link = world.link(age=100)
    asked = Asked(frozenset({"email"}))
    world.client.refreshes = [granted("narrow")]
    assert get(world, asked=asked).token.value.reveal() == "narrow"
    token = world.holding(link).token
    assert token is not None
    assert token.value.reveal() == "access-1"


def test_a_cached_variant_is_answered_without_a_call(world: World) -> None:
    asked = Asked(frozenset({"email"}))
    world.add_token(world.link(), asked)
    assert get(world, asked=asked).token.value.reveal() == "access-v"


def test_a_scope_outside_the_granted_one_is_refused_without_a_call(world: World) -> None:
    world.link()
    with pytest.raises(ScopeNotGranted, match="admin") as caught:
        get(world, asked=Asked(frozenset({"email", "admin"})))
    assert caught.value.provider_id == "idp1"


@pytest.mark.parametrize(
    ("configured", "linking_mends", "mend"),
    [(("email", "admin"), True, "Link the account again"), (("email",), False, "Ask the operator to add it to SCOPE")],
)
def test_a_missing_scope_is_mended_by_linking_only_where_linking_asks_for_it(
    configured: tuple[str, ...], linking_mends: bool, mend: str
) -> None:
    world = World(replace(provider(), scopes=configured))
    world.link()
    with pytest.raises(ScopeNotGranted, match=mend) as caught:
        get(world, asked=Asked(frozenset({"admin"})))
    assert caught.value.linking_mends is linking_mends


@pytest.mark.parametrize(
    ("style", "asked", "allowed"),
    [
        ("none", Asked(audience="api"), False),
        ("none", Asked(resources=("https://api.example",)), False),
        ("resource", Asked(resources=("https://api.example",)), True),
        ("resource", Asked(audience="api"), False),
        ("audience", Asked(audience="api"), True),
        ("audience", Asked(resources=("https://api.example",)), True),
        ("audience-repeated", Asked(audience="api"), True),
        ("audience-repeated", Asked(audience="api", resources=("https://api.example",)), True),
    ],
)
def test_an_audience_can_be_asked_for_in_the_style_of_the_provider_only(
    style: str, asked: Asked, *, allowed: bool
) -> None:
    world = World(provider(audience_style=style))
    world.add_token(world.link(), asked)
    if allowed:
        assert get(world, asked=asked).cached
    else:
        with pytest.raises(ScopeNotGranted) as caught:
            get(world, asked=asked)
        assert not caught.value.linking_mends


def test_a_scope_that_the_provider_refuses_leaves_the_link_whole(world: World) -> None:
    link = world.link()
    world.client.refreshes = [ScopeRefused("invalid_scope")]
    with pytest.raises(ScopeNotGranted):
        get(world, asked=Asked(frozenset({"email"})))
    assert world.holding(link).link == link


def test_a_refused_scope_of_one_caller_is_no_answer_to_another_who_joined_its_flight(
    world: World, gate: threading.Event
) -> None:
    world.link(seconds=3600, age=4000)
    begun = threading.Event()

    def refused() -> Outcome:
        begun.set()
        assert gate.wait(30)
        return ScopeRefused("invalid_scope")

    world.client.refreshes = [refused, granted("plain")]
    tokens = world.tokens
    with ThreadPoolExecutor(2) as threads:
        narrow = threads.submit(tokens.fresh_token, CALLER, "idp1", asked=Asked(frozenset({"email"})))
        assert begun.wait(30)
        plain = threads.submit(tokens.fresh_token, CALLER, "idp1")
        gate.set()
        assert plain.result(30).token.value.reveal() == "plain"
        with pytest.raises(ScopeNotGranted):
            narrow.result(30)


def test_variants_of_one_link_are_refreshed_one_after_another(world: World) -> None:
    world.link(seconds=3600, age=4000)
    running = threading.Semaphore(1)
    spent: list[int] = []

    def alone() -> Granted:
        assert running.acquire(blocking=False)
        spent.append(1)
        running.release()
        return granted(f"access-{len(spent)}")

    world.client.refreshes = [alone, alone]
    tokens = world.tokens
    with ThreadPoolExecutor(2) as threads:
        plain = threads.submit(tokens.fresh_token, CALLER, "idp1")
        narrow = threads.submit(tokens.fresh_token, CALLER, "idp1", asked=Asked(frozenset({"email"})))
        assert {plain.result(30).token.value.reveal(), narrow.result(30).token.value.reveal()} == {
            "access-1",
            "access-2",
        }


def test_variants_cannot_be_thought_of_to_spend_the_refresh_token_over_and_over() -> None:
    world = World(provider(audience_style="audience"))
    world.link(seconds=3600, age=1)
    world.client.refreshes = [granted(f"access-{number}") for number in range(20)]
    tokens = world.tokens
    got = [tokens.fresh_token(CALLER, "idp1", asked=Asked(audience=f"api-{number}")) for number in range(10)]
    with pytest.raises(RefreshInProgress) as caught:
        tokens.fresh_token(CALLER, "idp1", asked=Asked(audience="api-10"), force=True)
    world.flights.close()

    assert caught.value.retry_after > timedelta(seconds=1)
    assert len(world.client.refresh_calls) == len(got) == 10
    assert tokens.fresh_token(CALLER, "idp1", asked=Asked(audience="api-3")).cached
    assert tokens.fresh_token(CALLER, "idp1").cached


def test_a_refused_variant_is_not_asked_for_again_at_once(world: World) -> None:
    world.link(seconds=3600, age=4000)
    world.client.refreshes = [ScopeRefused("invalid_scope"), granted("plain")]
    tokens, narrow = world.tokens, Asked(frozenset({"email"}))
    for _ in range(3):
        with pytest.raises(ScopeNotGranted):
            tokens.fresh_token(CALLER, "idp1", asked=narrow)
    assert tokens.fresh_token(CALLER, "idp1").token.value.reveal() == "plain"
    assert len(world.client.refresh_calls) == 2


def test_an_unknown_provider_is_not_found(world: World) -> None:
    with pytest.raises(UnknownProvider):
        world.tokens.fresh_token(CALLER, "oidc")


def test_a_user_without_a_link_is_told_where_to_get_one(world: World) -> None:
    with pytest.raises(NotLinked) as caught:
        get(world)
    assert caught.value.provider_id == "idp1"


def test_the_policy_is_asked_before_anything_is_read() -> None:
    world = World(provider(browser_tokens=False))
    world.stores.database.down = True
    with pytest.raises(PolicyDenied):
        world.tokens.fresh_token(replace(CALLER, kind=CallerKind.SESSION), "idp1")


def test_another_user_does_not_see_the_link(world: World) -> None:
    link = world.link()
    bob = replace(CALLER, identity=Identity("https://login.example", "bob"))
    with pytest.raises(NotLinked):
        world.tokens.fresh_token(bob, "idp1", link_id=link.id)


def test_there_is_no_hand_out_without_a_token(world: World) -> None:
    link = world.link()
    with pytest.raises(ValueError, match="no token"):
        handed_out(world.holding(link, Asked(frozenset({"email"}))), cached=True)


def test_an_end_that_has_just_passed_is_shown_as_zero(world: World) -> None:
    link = world.link(seconds=10, age=11)
    assert handed_out(world.holding(link), cached=True).expires_in == timedelta()


def test_hand_outs_and_waiting_are_counted(world: World) -> None:
    world.link(seconds=100)
    world.client.refreshes = [granted()]
    get(world)
    get(world, min_valid=90)
    world.advance(60)
    get(world)
    assert world.metrics.hand_outs == [("idp1", True), ("idp1", True), ("idp1", False)]
    assert world.metrics.waits == ["idp1"]


def test_a_caller_who_waited_in_vain_waited(world: World) -> None:
    world.link(seconds=100, age=100)
    world.client.refreshes = [Refused("invalid_grant")]
    with pytest.raises(RefreshInProgress):
        get(world)
    assert (world.metrics.hand_outs, world.metrics.waits) == ([], ["idp1"])

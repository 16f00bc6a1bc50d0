"""One refresh: every outcome of the provider, the lease, the fence, and a database that fails at the wrong moment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.core_world import ADA, CALLER, GRACE, SCOPES, World, provider
from support.fake_provider import granted
from support.fakes import FakeDatabase, FakeLinkStore
from support.refreshing import bring, failing, failure, others_save, spent
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    ISSUER_CHANGED,
    PAUSED,
    AccessToken,
    Account,
    Asked,
    AuditEvent,
    Doubt,
    Lease,
    Link,
    LinkState,
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    Rotation,
    RotationKind,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import Failure
from tokenstore.core.refresh import back_off
from tokenstore.core.secret import Secret
from tokenstore.errors import (
    KeyUnavailable,
    NotLinked,
    ProviderMisconfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshInProgress,
    ScopeNotGranted,
    StorageUnavailable,
)

NARROW = Asked(frozenset({"email"}))


def broken(world: World, link: Link) -> ReauthorizationRequired:
    """The error after the provider refused the link twice."""
    world.client.refreshes = [Refused("invalid_grant"), Refused("invalid_grant")]
    failure(world, link)
    world.advance(30)
    error = failure(world, link)
    assert isinstance(error, ReauthorizationRequired)
    return error


class UnwritableLinks(FakeLinkStore):
    """A store that cannot write some row of a refresh's transaction; `faults`: what writes of the token alone raise."""

    def __init__(self, database: FakeDatabase, *faults: Exception) -> None:
        super().__init__(database)
        self.faults = list(faults)

    def save_refreshed(self, *_arguments: object) -> AccessToken | None:
        raise ValueError("U+0000 is no text")

    def save_rotation(
        self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta, failure: Failure
    ) -> bool:
        if self.faults:
            raise self.faults.pop()
        return super().save_rotation(lease, provider, refresh_token, elapsed, failure)


class MuteLinks(FakeLinkStore):
    """A store that commits the first save and then loses its answer."""

    mute = True

    def save_refreshed(self, *about: Any) -> AccessToken | None:
        saved = super().save_refreshed(*about)
        if self.mute:
            self.mute = False
            raise StorageUnavailable("The answer was lost.")
        return saved


def test_a_new_token_is_saved_and_the_link_is_free_again(world: World, link: Link) -> None:
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    token = bring(world, link)
    row = world.row(link)
    assert (token.value.reveal(), row.refresh_token, row.lease_owner) == ("new", Secret("refresh-2"), None)
    assert row.link.version == link.version + 1


def test_refresh_keeps_old_refresh_token_when_none_is_returned(world: World, link: Link) -> None:
    world.client.refreshes = [granted("new")]
    bring(world, link)
    assert world.row(link).refresh_token == Secret("refresh-1")


def test_a_refresh_is_audited_with_its_caller(world: World, link: Link) -> None:
    world.client.refreshes = [granted()]
    bring(world, link)
    assert world.stores.database.events[-1] == AuditEvent("token.refresh", "success", CALLER, ADA, "idp1", link.id)


def test_the_provider_is_told_variant_and_granted_scope(world: World, link: Link) -> None:
    world.client.refreshes = [granted()]
    bring(world, link, NARROW)
    call = world.client.refresh_calls[0]
    assert (call.token, call.asked, call.granted) == ("refresh-1", NARROW, SCOPES)


def test_lifetime_counts_from_sending_the_request(world: World, link: Link) -> None:
    def slow() -> Outcome:
        world.time.now += 7
        return granted(seconds=100)

    world.client.refreshes = [slow]
    token = bring(world, link)
    assert token.expires_at == world.now + timedelta(seconds=93)


def test_after_a_retry_lifetime_counts_from_the_last_request(world: World, link: Link) -> None:
    world.client.refreshes = [Unavailable("status-500"), granted(seconds=100)]
    assert bring(world, link).expires_at == world.now + timedelta(seconds=100)


def test_a_refresh_heals_a_suspect_link_and_forgets_its_failures(world: World, link: Link) -> None:
    world.change(link, state=LinkState.SUSPECT, fail_count=3, last_error="status-500")
    world.client.refreshes = [granted()]
    bring(world, link)
    healed = world.row(link).link
    assert (healed.state, healed.fail_count, healed.last_error) == (LinkState.ACTIVE, 0, None)


def test_the_lease_is_as_long_as_the_rotation_of_the_provider_allows() -> None:
    world = World(provider(rotation=Rotation(RotationKind.GRACE, timedelta(seconds=10))))
    link = world.link(seconds=3600, age=4000)
    until: list[object] = []

    def look() -> Outcome:
        until.append(world.row(link).link.lease_until)
        return granted()

    world.client.refreshes = [look]
    bring(world, link)
    assert until == [world.now + timedelta(seconds=7)]


def test_each_flight_marks_its_lease_with_a_name_of_its_own(world: World, link: Link) -> None:
    owners: list[str | None] = []

    def look() -> Outcome:
        owners.append(world.row(link).lease_owner)
        return granted()

    world.client.refreshes = [look, look]
    bring(world, link)
    bring(world, link)
    assert owners[0] != owners[1]
    assert all(owner and owner.startswith("node-1/") for owner in owners)


def test_a_fault_in_which_nothing_was_done_is_retried_twice_under_a_renewed_lease(world: World, link: Link) -> None:
    ends: list[object] = []

    def look() -> Outcome:
        ends.append(world.row(link).link.lease_until)
        world.advance(2)
        return Unavailable("status-500")

    world.client.refreshes = [look, look, granted("new")]
    assert bring(world, link).value.reveal() == "new"
    assert ends[1] == ends[0] + timedelta(seconds=2)  # type: ignore[operator]  # both are instants
    assert world.time.slept == [2.0, 2.0]


def test_after_three_faults_the_link_backs_off_for_five_seconds(world: World, link: Link) -> None:
    world.client.refreshes = [Unavailable("dns")] * 3
    error = failure(world, link)
    assert isinstance(error, ProviderUnavailable)
    row = world.row(link)
    assert (error.retry_after, row.link.next_try_at) == (timedelta(seconds=5), world.now + timedelta(seconds=5))
    assert (row.link.fail_count, row.link.last_error, row.lease_owner) == (1, "dns", None)
    assert row.link.state is LinkState.ACTIVE


def test_back_off_doubles_with_every_failure_up_to_fifteen_minutes() -> None:
    assert [back_off(count).total_seconds() for count in (0, 1, 2, 7, 8, 10_000)] == [5, 10, 20, 640, 900, 900]


def test_back_off_grows_with_the_failures_of_the_link(world: World, link: Link) -> None:
    world.change(link, fail_count=3)
    world.client.refreshes = [Unavailable("status-503")]
    failure(world, link)
    assert world.row(link).link.next_try_at == world.now + timedelta(seconds=40)


def test_no_call_is_made_while_the_link_backs_off(world: World, link: Link) -> None:
    world.change(link, next_try_at=world.now + timedelta(seconds=40))
    error = failure(world, link)
    assert isinstance(error, ProviderUnavailable)
    assert (error.retry_after, spent(world)) == (timedelta(seconds=40), [])


@pytest.mark.parametrize(("told", "kept"), [(17, 17), (3600, 3600)])
def test_retry_after_is_obeyed_up_to_an_hour_and_not_retried_in_the_flight(
    world: World, link: Link, told: int, kept: int
) -> None:
    world.client.refreshes = [Unavailable("status-429", timedelta(seconds=told))]
    failure(world, link)
    assert world.row(link).link.next_try_at == world.now + timedelta(seconds=kept)


@pytest.mark.parametrize(
    "reason", ["status-408", "status-425", "status-429", "status-503", "temporarily_unavailable", "slow_down"]
)
def test_a_provider_that_asks_for_patience_is_not_called_again_in_the_flight(
    world: World, link: Link, reason: str
) -> None:
    world.client.refreshes = [Unavailable(reason)]
    failure(world, link)
    assert world.row(link).link.next_try_at == world.now + timedelta(seconds=5)


def test_no_retry_is_begun_that_could_outlast_an_orderly_stop(world: World, link: Link) -> None:
    def slow() -> Outcome:
        world.time.now += 15
        return Unavailable("status-500")

    world.client.refreshes = [slow]
    assert isinstance(failure(world, link), ProviderUnavailable)


def test_metadata_that_cannot_be_had_counts_as_an_outage(world: World, link: Link) -> None:
    world.client.refreshes = [ProviderUnavailable("x", debug="discovery")] * 3
    failure(world, link)
    row = world.row(link)
    assert (row.link.last_error, row.lease_owner, row.link.fail_count) == ("discovery", None, 1)


def test_a_lost_answer_is_retried_exactly_once_with_the_same_token(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("read-timeout"), granted("new")]
    assert bring(world, link).value.reveal() == "new"
    assert spent(world) == ["refresh-1", "refresh-1"]
    assert world.time.slept == []


def test_two_lost_answers_leave_the_link_backing_off(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("reset"), Unclear("reset")]
    assert isinstance(failure(world, link), ProviderUnavailable)
    row = world.row(link)
    assert (row.link.state, row.link.last_error, row.link.fail_count) == (LinkState.ACTIVE, "reset", 1)


def test_a_rotated_token_in_a_useless_answer_is_saved(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("no-access-token", Secret("refresh-2"))]
    assert isinstance(failure(world, link), ProviderUnavailable)
    row = world.row(link)
    assert (row.refresh_token, row.lease_owner) == (Secret("refresh-2"), None)


def test_a_useless_answer_with_a_rotated_token_makes_the_link_back_off(world: World, link: Link) -> None:
    world.change(link, fail_count=1)
    world.client.refreshes = [Unclear("no-access-token", Secret("refresh-2"))]
    error = failure(world, link)
    assert isinstance(error, ProviderUnavailable)
    kept = world.row(link).link
    assert (error.retry_after, kept.next_try_at) == (timedelta(seconds=10), world.now + timedelta(seconds=10))
    assert (kept.fail_count, kept.last_error) == (2, "no-access-token")


def test_tokens_by_another_issuer_are_kept_for_when_the_operator_has_looked(world: World, link: Link) -> None:
    world.client.refreshes = [Misconfigured(ISSUER_CHANGED, Secret("refresh-2"))]
    assert isinstance(failure(world, link), ProviderMisconfigured)
    row = world.row(link)
    assert (row.refresh_token, row.lease_owner, row.link.state) == (Secret("refresh-2"), None, LinkState.ACTIVE)
    assert (row.link.last_error, row.link.fail_count) == ("misconfigured:issuer-changed", 1)
    assert (world.client.revoked, world.spool.answers) == ([], [])


def test_a_link_whose_tokens_come_by_another_issuer_is_spent_ever_more_rarely(world: World, link: Link) -> None:
    pauses = []
    for number in range(2, 12):
        world.client.refreshes = [Misconfigured(ISSUER_CHANGED, Secret(f"refresh-{number}"))]
        failure(world, link)
        next_try_at = world.row(link).link.next_try_at
        assert next_try_at is not None
        pauses.append((next_try_at - world.now).total_seconds())
        world.advance(pauses[-1])
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_the_operator_is_told_of_another_issuer_as_of_another_thing_than_a_refused_client(
    world: World, link: Link
) -> None:
    world.client.refreshes = [Misconfigured(ISSUER_CHANGED, Secret("refresh-2"))]
    told = [failure(world, link).detail for _ in range(2)]
    assert all("issuer" in detail and "secret" not in detail for detail in told)
    world.advance(5)
    world.client.refreshes = [Misconfigured("invalid_client")]
    told = [failure(world, link).detail for _ in range(2)]
    assert all("client secret" in detail and "issuer" not in detail for detail in told)


def test_a_rotated_token_in_a_useless_answer_is_offered_until_the_database_takes_it(world: World, link: Link) -> None:
    failing(world, 3)
    world.client.refreshes = [Unclear("no-access-token", Secret("refresh-2"))]
    failure(world, link)
    assert world.row(link).refresh_token == Secret("refresh-2")


def test_a_rotated_token_that_misses_the_fence_is_kept_as_previous_one(world: World, link: Link) -> None:
    def overtaken() -> Outcome:
        world.advance(1)
        others_save(world, link)
        return Unclear("no-access-token", Secret("refresh-late"))

    world.client.refreshes = [overtaken]
    assert bring(world, link).value.reveal() == "theirs"
    row = world.row(link)
    assert (row.refresh_token, row.previous_token) == (Secret("refresh-theirs"), Secret("refresh-late"))
    assert world.metrics.fence_misses == ["idp1"]


def test_one_refusal_makes_the_link_suspect_and_asks_the_caller_to_come_again(world: World, link: Link) -> None:
    world.client.refreshes = [Refused("invalid_grant")]
    error = failure(world, link)
    assert isinstance(error, RefreshInProgress)
    assert error.retry_after == timedelta(seconds=30)
    suspect = world.row(link).link
    assert (suspect.state, suspect.last_error, world.actions()[-1]) == (
        LinkState.SUSPECT,
        "invalid_grant",
        "link.suspect",
    )
    assert (suspect.next_try_at, suspect.version) == (world.now + timedelta(seconds=30), link.version)
    assert world.metrics.broken == []


def test_a_suspect_link_is_left_alone_until_it_is_asked_again(world: World, link: Link) -> None:
    world.client.refreshes = [Refused("invalid_grant")]
    failure(world, link)
    world.advance(29)
    assert isinstance(failure(world, link), RefreshInProgress)
    assert spent(world) == ["refresh-1"]


def test_a_second_refusal_breaks_the_link_and_is_audited(world: World, link: Link) -> None:
    error = broken(world, link)
    assert error.provider_id == "idp1"
    row = world.row(link)
    assert (row.link.state, row.link.last_error, world.actions()[-1]) == (
        LinkState.BROKEN,
        "invalid_grant",
        "link.broken",
    )
    assert (world.metrics.broken, world.metrics.lost, row.lease_owner) == (["idp1"], [], None)


def test_a_broken_link_keeps_its_token_so_that_a_late_answer_may_heal_it(world: World, link: Link) -> None:
    broken(world, link)
    assert world.row(link).refresh_token == Secret("refresh-1")


def test_a_suspect_link_that_is_granted_again_is_active(world: World, link: Link) -> None:
    world.client.refreshes = [Refused("invalid_grant"), granted("new")]
    failure(world, link)
    world.advance(30)
    assert bring(world, link).value.reveal() == "new"
    assert world.row(link).link.state is LinkState.ACTIVE


def test_a_link_that_broke_after_an_interrupted_refresh_is_counted_as_lost(world: World, link: Link) -> None:
    assert world.stores.links.take_lease(world.row(link).link, "node-1/dead", timedelta(seconds=20)) is not None
    world.advance(21)
    broken(world, link)
    assert world.metrics.lost == [("idp1", "interrupted")]
    assert world.actions()[-2:] == ["link.broken", "link.lost"]


def test_a_link_that_broke_after_an_unanswered_request_is_counted_as_lost(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("reset"), Unclear("reset")]
    failure(world, link)
    world.advance(5)
    broken(world, link)
    assert world.metrics.lost == [("idp1", "unanswered")]


def test_a_link_whose_only_answer_was_lost_and_then_refused_is_counted_as_lost(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("reset"), Refused("invalid_grant"), Refused("invalid_grant")]
    failure(world, link)
    world.advance(30)
    failure(world, link)
    assert world.metrics.lost == [("idp1", "unanswered")]


@pytest.mark.parametrize(
    "later", [Unavailable("status-503"), Unavailable("connect"), Unavailable(PAUSED), Misconfigured("invalid_client")]
)
def test_a_call_without_an_answer_leaves_its_doubt_whatever_the_repetition_ends_in(
    world: World, link: Link, later: Outcome
) -> None:
    world.client.refreshes = [Unclear("timeout"), later, later, later]
    failure(world, link)
    assert world.row(link).link.doubt is Doubt.UNANSWERED


def test_a_call_without_an_answer_leaves_its_doubt_before_it_is_repeated(world: World, link: Link) -> None:
    doubts: list[Doubt | None] = []

    def look(outcome: Outcome) -> Callable[[], Outcome]:
        def answer() -> Outcome:
            doubts.append(world.row(link).link.doubt)
            return outcome

        return answer

    world.client.refreshes = [look(Unavailable("status-500")), look(Unclear("reset")), look(granted())]
    bring(world, link)
    assert doubts == [None, None, Doubt.UNANSWERED]
    assert world.row(link).link.doubt is None


def test_a_granted_refresh_ends_the_doubt_about_a_link(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("reset"), Unclear("reset"), granted()]
    failure(world, link)
    world.advance(5)
    bring(world, link)
    assert world.row(link).link.doubt is None


def test_tokens_of_another_account_break_the_link_at_once_and_are_owed_to_the_provider() -> None:
    world = World(provider(revokes_grant=False))
    link = world.link(seconds=3600, age=4000)
    received = TokenSet(Secret("theirs"), refresh_token=Secret("refresh-theirs"))
    world.client.refreshes = [Refused(ACCOUNT_CHANGED, received)]
    assert isinstance(failure(world, link), ReauthorizationRequired)
    assert (world.row(link).link.state, world.client.revoked) == (LinkState.BROKEN, ["refresh-theirs"])


@pytest.mark.parametrize(("is_linked", "revoked"), [(False, ["refresh-theirs"]), (True, [])])
def test_tokens_of_another_account_are_revoked_with_their_grant_unless_a_link_rests_on_it(
    is_linked: bool, revoked: list[str]
) -> None:
    world = World()
    link, theirs = world.link(seconds=3600, age=4000), Account("https://idp.example", "b-2")
    if is_linked:
        theirs = world.link(subject="b-2").account
    received = TokenSet(Secret("theirs"), refresh_token=Secret("refresh-theirs"))
    world.client.refreshes = [Refused(ACCOUNT_CHANGED, received, theirs)]
    assert isinstance(failure(world, link), ReauthorizationRequired)
    assert world.client.revoked == revoked


def test_invalid_grant_for_a_link_that_was_refreshed_meanwhile_is_answered_from_the_row(
    world: World, link: Link
) -> None:
    def overtaken() -> Outcome:
        world.advance(1)
        others_save(world, link)
        return Refused("invalid_grant")

    world.client.refreshes = [overtaken]
    assert bring(world, link).value.reveal() == "theirs"
    assert (world.row(link).link.state, world.metrics.broken) == (LinkState.ACTIVE, [])


def test_the_previous_token_is_tried_once_when_the_current_one_is_refused() -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now + timedelta(seconds=30)
    world.client.refreshes = [Refused("invalid_grant"), granted("new")]
    assert bring(world, link).value.reveal() == "new"
    assert spent(world) == ["refresh-1", "refresh-0"]


def test_a_link_whose_two_tokens_are_refused_is_suspect_and_the_older_one_is_erased() -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now + timedelta(seconds=30)
    world.client.refreshes = [Refused("invalid_grant")] * 2
    failure(world, link)
    assert (row.link.state, spent(world)) == (LinkState.SUSPECT, ["refresh-1", "refresh-0"])
    assert row.previous_token is None


def test_an_outage_at_the_previous_token_does_not_break_the_link() -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now + timedelta(seconds=30)
    world.client.refreshes = [Refused("invalid_grant"), Unavailable("status-503")]
    assert isinstance(failure(world, link), ProviderUnavailable)
    assert row.link.state is LinkState.ACTIVE


def test_a_strict_provider_is_never_sent_the_previous_token(world: World, link: Link) -> None:
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now + timedelta(seconds=30)
    world.client.refreshes = [Refused("invalid_grant")]
    failure(world, link)
    assert spent(world) == ["refresh-1"]


@pytest.mark.parametrize("answer", [Misconfigured("invalid_client"), ProviderMisconfigured("x", debug="no endpoint")])
def test_a_provider_that_refuses_the_store_leaves_the_link_untouched(
    world: World, link: Link, answer: Misconfigured | ProviderMisconfigured
) -> None:
    before = replace(world.row(link))
    world.client.refreshes = [answer]
    assert isinstance(failure(world, link), ProviderMisconfigured)
    after = world.row(link)
    pause = {name: getattr(after.link, name) for name in ("next_try_at", "last_error", "last_error_at")}
    assert after == replace(before, link=replace(before.link, **pause))


def test_a_provider_that_refuses_the_store_is_left_alone_for_ten_seconds(world: World, link: Link) -> None:
    world.client.refreshes = [Misconfigured("invalid_client"), granted("new")]
    failure(world, link)
    world.advance(9)
    assert isinstance(failure(world, link), ProviderMisconfigured)
    assert spent(world) == ["refresh-1"]
    world.advance(1)
    assert bring(world, link).value.reveal() == "new"
    assert world.row(link).link.last_error is None


def test_a_provider_that_refuses_the_store_is_an_alarm(
    world: World, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    world.client.refreshes = [Misconfigured("invalid_client")]
    failure(world, link)
    assert [record.levelno for record in caplog.records if record.name.startswith("tokenstore.core.refresh")] == [
        logging.ERROR
    ]


def test_a_configured_refresh_scope_that_is_refused_is_left_out_once() -> None:
    world = World(provider(refresh_scope="configured"))
    link = world.link(seconds=3600, age=4000)
    world.client.refreshes = [ScopeRefused("invalid_scope"), granted("new")]
    assert bring(world, link).value.reveal() == "new"
    assert [call.provider.refresh_scope for call in world.client.refresh_calls] == ["configured", "none"]


def test_a_scope_refused_though_none_was_asked_for_is_the_operators_business(world: World, link: Link) -> None:
    world.client.refreshes = [ScopeRefused("invalid_scope")]
    assert isinstance(failure(world, link), ProviderMisconfigured)


def test_a_scope_refused_twice_is_the_operators_business() -> None:
    world = World(provider(refresh_scope="granted"))
    link = world.link(seconds=3600, age=4000)
    world.client.refreshes = [ScopeRefused("invalid_scope")] * 2
    assert isinstance(failure(world, link), ProviderMisconfigured)


def test_a_refused_scope_of_the_caller_is_said_to_the_caller(world: World, link: Link) -> None:
    before = replace(world.row(link))
    world.client.refreshes = [ScopeRefused("invalid_scope")]
    assert isinstance(failure(world, link, NARROW), ScopeNotGranted)
    assert world.row(link) == before


def test_a_scope_refused_after_an_unanswered_call_leaves_the_link_in_doubt(world: World, link: Link) -> None:
    world.client.refreshes = [Unclear("reset"), ScopeRefused("invalid_scope")]
    assert isinstance(failure(world, link, NARROW), ScopeNotGranted)
    kept = world.row(link).link
    assert (kept.doubt, kept.fail_count) == (Doubt.UNANSWERED, 0)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


def test_a_link_that_was_refreshed_before_the_lease_is_answered_from_the_row(world: World, link: Link) -> None:
    errand = world.errand(link)
    world.advance(1)
    others_save(world, link)
    assert world.refresher.bring(errand).value.reveal() == "theirs"
    assert spent(world) == []


def test_a_variant_not_yet_there_is_refreshed_after_another_variant_was(world: World, link: Link) -> None:
    errand = world.errand(link, NARROW)
    world.advance(1)
    others_save(world, link)
    world.client.refreshes = [granted("narrow")]
    assert world.refresher.bring(errand).value.reveal() == "narrow"
    assert spent(world) == ["refresh-theirs"]


def test_an_answer_that_missed_the_fence_is_kept_as_previous_token_and_the_row_answers(
    world: World, link: Link
) -> None:
    def overtaken() -> Outcome:
        world.advance(1)
        others_save(world, link)
        return granted("mine", refresh="refresh-mine")

    world.client.refreshes = [overtaken]
    assert bring(world, link).value.reveal() == "theirs"
    row = world.row(link)
    assert (row.refresh_token, row.previous_token) == (Secret("refresh-theirs"), Secret("refresh-mine"))


def test_an_answer_for_an_unlinked_account_is_queued_for_revocation(world: World, link: Link) -> None:
    def unlinked() -> Outcome:
        world.stores.links.unlink(ADA, None, link.id, AuditEvent("link.removed", "success"))
        return granted("mine", refresh="refresh-mine")

    world.client.refreshes = [unlinked]
    assert isinstance(failure(world, link), NotLinked)
    queued = {row.pending.token.reveal() for row in world.stores.database.outbox.values()}
    assert queued == {"refresh-1"}
    assert world.client.revoked == ["refresh-mine"]


def test_an_answer_that_another_client_was_to_get_is_revoked(world: World, link: Link) -> None:
    def relinked() -> Outcome:
        world.provider = provider(client_id="client-2")
        world.link(refresh="refresh-2")
        return granted("mine", refresh="refresh-mine")

    errand = world.errand(link)
    world.client.refreshes = [relinked]
    world.refresher.bring(errand)
    assert world.client.revoked == ["refresh-mine"]
    assert world.row(link).previous_token is None


def test_an_answer_outlives_linking_again_without_a_new_refresh_token(world: World, link: Link) -> None:
    def relinked() -> Outcome:
        world.link(refresh=None)
        return granted("mine", refresh="refresh-mine")

    world.client.refreshes = [relinked]
    assert bring(world, link).value.reveal() == "mine"
    assert world.row(link).refresh_token == Secret("refresh-mine")


def test_a_lapsed_lease_does_not_lose_the_newest_token(world: World, link: Link) -> None:
    def very_slow() -> Outcome:
        world.advance(25)
        return granted("new", refresh="refresh-2")

    world.client.refreshes = [very_slow]
    assert bring(world, link).value.reveal() == "new"
    assert world.row(link).refresh_token == Secret("refresh-2")


def test_a_lease_that_went_to_somebody_else_ends_the_retries(world: World, link: Link) -> None:
    def lapsed() -> Outcome:
        world.advance(21)
        row = world.row(link)
        assert world.stores.links.take_lease(row.link, "node-2/1", timedelta(seconds=20)) is not None
        return Unclear("read-timeout")

    world.client.refreshes = [lapsed]
    world.time.meanwhile = lambda: others_save(world, link)
    assert bring(world, link).value.reveal() == "theirs"
    assert spent(world) == ["refresh-1"]


def test_a_broken_verdict_under_a_lost_lease_is_not_believed(world: World, link: Link) -> None:
    def lapsed() -> Outcome:
        world.advance(21)
        row = world.row(link)
        assert world.stores.links.take_lease(row.link, "node-2/1", timedelta(seconds=20)) is not None
        return Refused("invalid_grant")

    world.client.refreshes = [lapsed]
    assert isinstance(failure(world, link), RefreshInProgress)
    assert world.row(link).link.state is LinkState.ACTIVE


def test_a_follower_polls_ever_more_slowly_and_gives_up_after_its_waiting_time(world: World, link: Link) -> None:
    assert world.stores.links.take_lease(world.row(link).link, "node-2/1", timedelta(seconds=20)) is not None
    error = failure(world, link)
    assert isinstance(error, RefreshInProgress)
    assert error.retry_after == timedelta(seconds=1)
    assert [round(pause, 3) for pause in world.time.slept[:5]] == [0.02, 0.04, 0.08, 0.16, 0.2]
    assert 2.0 <= sum(world.time.slept) <= 2.2


def test_a_follower_takes_over_when_the_lease_lapses(world: World, link: Link) -> None:
    assert world.stores.links.take_lease(world.row(link).link, "node-1/1", timedelta(seconds=1)) is not None
    world.time.meanwhile = lambda: world.advance(0.5)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


def test_another_machine_has_time_to_save_what_a_strict_provider_answered_it(world: World, link: Link) -> None:
    assert world.stores.links.take_lease(world.row(link).link, "node-2/1", timedelta(seconds=20)) is not None
    world.advance(20 + 89)
    assert isinstance(failure(world, link), RefreshInProgress)
    world.advance(2)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


@pytest.mark.parametrize(("seconds", "at_once"), [(3, 0), (10, 1), (30, 8), (60, 38)])
def test_another_machine_is_not_waited_for_while_a_used_token_works_once_more(seconds: int, at_once: int) -> None:
    rotation = Rotation(RotationKind.GRACE, timedelta(seconds=seconds))
    world = World(provider(rotation=rotation))
    link = world.link(seconds=3600, age=4000)
    lease = rotation.lease.total_seconds()
    assert world.stores.links.take_lease(world.row(link).link, "node-2/1", rotation.lease) is not None
    world.advance(lease + at_once)
    assert isinstance(failure(world, link), RefreshInProgress)
    world.advance(90 - at_once)
    assert isinstance(failure(world, link), RefreshInProgress)
    world.advance(1)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


@pytest.mark.parametrize("rotation", [GRACE, Rotation(RotationKind.NONE), Rotation(RotationKind.KEEP_OLD)])
def test_another_machine_is_not_waited_for_where_a_used_token_works_again(rotation: Rotation) -> None:
    world = World(provider(rotation=rotation))
    link = world.link(seconds=3600, age=4000)
    assert world.stores.links.take_lease(world.row(link).link, "node-2/1", timedelta(seconds=20)) is not None
    world.advance(21)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


@pytest.mark.parametrize(("grace", "at_once"), [(30, 0), (60, 24)])
def test_another_machine_is_waited_for_once_a_token_sent_before_its_lease_was_renewed_works_no_more(
    grace: int, at_once: int
) -> None:
    rotation = Rotation(RotationKind.GRACE, timedelta(seconds=grace))
    world = World(provider(rotation=rotation))
    link = world.link(seconds=3600, age=4000)
    lease = world.stores.links.take_lease(world.row(link).link, "node-2/1", rotation.lease)
    assert lease is not None
    world.advance(14)
    assert world.stores.links.renew_lease(lease, rotation.lease, Doubt.UNANSWERED)
    world.advance(20 + at_once)
    assert isinstance(failure(world, link), RefreshInProgress)
    world.advance(91 - at_once)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


def test_another_machine_is_not_waited_for_while_a_token_sent_before_its_lease_was_renewed_works_once_more() -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    lease = world.stores.links.take_lease(world.row(link).link, "node-2/1", GRACE.lease)
    assert lease is not None
    world.advance(14)
    assert world.stores.links.renew_lease(lease, GRACE.lease, Doubt.UNANSWERED)
    world.advance(20 + 23)
    world.client.refreshes = [granted("new")]
    assert bring(world, link).value.reveal() == "new"


def test_a_follower_hears_that_the_link_broke(world: World, link: Link) -> None:
    assert world.stores.links.take_lease(world.row(link).link, "node-2/1", timedelta(seconds=20)) is not None
    world.time.meanwhile = lambda: world.change(link, state=LinkState.BROKEN)
    assert isinstance(failure(world, link), ReauthorizationRequired)


def test_a_database_that_fails_during_the_save_is_asked_again(world: World, link: Link) -> None:
    failing(world, 10)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    assert bring(world, link).value.reveal() == "new"
    assert world.row(link).refresh_token == Secret("refresh-2")


@pytest.mark.parametrize("faults", [(), (StorageUnavailable("x"), ValueError("y"), KeyUnavailable("z"))])
def test_a_refresh_that_cannot_be_saved_whole_keeps_at_least_the_refresh_token(
    world: World, link: Link, faults: tuple[Exception, ...]
) -> None:
    world.links = UnwritableLinks(world.stores.database, *faults)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    assert isinstance(failure(world, link), ProviderUnavailable)
    row = world.row(link)
    assert (row.refresh_token, row.lease_owner, row.link.last_error) == (Secret("refresh-2"), None, "internal")


def test_a_refresh_without_a_new_refresh_token_that_cannot_be_saved_leaves_the_old_one(
    world: World, link: Link
) -> None:
    world.links = UnwritableLinks(world.stores.database)
    world.client.refreshes = [granted("new")]
    assert isinstance(failure(world, link), ProviderUnavailable)
    row = world.row(link)
    assert (row.refresh_token, row.lease_owner, row.link.fail_count) == (Secret("refresh-1"), None, 1)


def test_a_token_that_no_write_takes_for_a_minute_is_given_up_loudly(
    world: World, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    world.links = UnwritableLinks(world.stores.database, *[ValueError("never")] * 1_000)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    with pytest.raises(ValueError, match="never"):
        bring(world, link)
    assert sum(world.time.slept) == pytest.approx(60, abs=1)
    assert logging.CRITICAL in [record.levelno for record in caplog.records]
    assert "refresh-2" not in caplog.text


def test_a_save_whose_answer_was_lost_is_found_again() -> None:
    world = World(provider(rotation=GRACE))
    link = world.link(seconds=3600, age=4000)
    world.links = MuteLinks(world.stores.database)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    assert bring(world, link).value.reveal() == "new"
    row = world.row(link)
    assert (row.refresh_token, row.previous_token) == (Secret("refresh-2"), Secret("refresh-1"))


def test_waiting_for_the_database_does_not_lengthen_the_token(world: World, link: Link) -> None:
    failing(world, 10)
    world.client.refreshes = [granted(seconds=100)]
    assert bring(world, link).expires_at == world.now + timedelta(seconds=90)


def test_a_database_that_takes_nothing_for_a_minute_is_given_up_loudly(
    world: World, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    failing(world, 1_000)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    assert isinstance(failure(world, link), StorageUnavailable)
    assert sum(world.time.slept) == pytest.approx(60, abs=1)
    assert caplog.records[-1].levelno == logging.CRITICAL
    assert "refresh-2" not in caplog.text


def test_settling_after_a_missed_fence_is_tried_again_too(world: World, link: Link) -> None:
    def overtaken() -> Outcome:
        world.advance(1)
        others_save(world, link)
        failing_links.failures = 2
        return granted("mine", refresh="refresh-mine")

    failing_links = failing(world, 0)
    world.client.refreshes = [overtaken]
    assert bring(world, link).value.reveal() == "theirs"
    assert world.row(link).previous_token == Secret("refresh-mine")


def test_a_refresh_token_that_cannot_be_opened_is_sent_nowhere(world: World, link: Link) -> None:
    errand = world.errand(link)
    world.row(link).unopenable = True
    with pytest.raises(KeyUnavailable):
        world.refresher.bring(errand)
    assert (spent(world), world.row(link).lease_owner) == ([], None)


def test_a_fault_of_ours_gives_the_lease_back_and_leaves_the_link_active(world: World, link: Link) -> None:
    world.client.refreshes = [ValueError("a bug")]
    with pytest.raises(ValueError, match="a bug"):
        bring(world, link)
    row = world.row(link)
    assert (row.lease_owner, row.link.state, row.link.last_error) == (None, LinkState.ACTIVE, "internal")

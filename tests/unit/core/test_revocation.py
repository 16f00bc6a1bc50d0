"""Revoking what is owed: one call, a receipt, and never an error for the one who unlinked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from support.core_world import ADA, PROFILE, provider
from support.fake_provider import Answer, FakeProviderClient, granted
from support.fakes import FakeOutbox, FakeStores, fake_stores
from support.harness import BOB, new_link
from tokenstore.core.model import (
    AuditEvent,
    Provider,
    ProviderId,
    Refused,
    RevocationResult,
    Rotation,
    RotationKind,
    Unavailable,
    Unclear,
)
from tokenstore.core.places import Places
from tokenstore.core.ports import Debt
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import CLAIM, HELD, Revoker
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable, StorageUnavailable
from tokenstore.providers.client import REVOCATION_SECONDS

MOST = Places().most


def queued(stores: FakeStores) -> UUID:
    """The row of a queued token."""
    outbox_id = stores.outbox.queue_revocation(provider(), ADA, Secret("refresh-1"))
    assert outbox_id is not None
    return outbox_id


def settled(
    client: FakeProviderClient,
    stores: FakeStores,
    configured: Provider | None = None,
    attempts: int = 0,
) -> RevocationResult:
    """The receipt of one queued token."""
    outbox_id = queued(stores)
    row = stores.database.outbox[outbox_id]
    row.pending = replace(row.pending, attempts=attempts)
    return Revoker(Registry([configured or provider()]), stores.outbox, client, Places()).settle(outbox_id)


@pytest.mark.parametrize("answer", [RevocationResult.CONFIRMED, RevocationResult.UNSUPPORTED])
def test_a_final_answer_ends_the_matter(answer: RevocationResult) -> None:
    stores = fake_stores()
    assert settled(FakeProviderClient(revocation=answer), stores) is answer
    assert stores.database.outbox == {}


@pytest.mark.parametrize(
    "answer", [RevocationResult.FAILED, ProviderUnavailable("no metadata"), ProviderMisconfigured("foreign endpoint")]
)
def test_a_failed_call_stays_queued_for_a_minute(answer: RevocationResult | Exception) -> None:
    stores = fake_stores()
    assert settled(FakeProviderClient(revocation=answer), stores) is RevocationResult.QUEUED
    (row,) = stores.database.outbox.values()
    assert (row.pending.attempts, row.next_try_at) == (1, stores.database.clock.now + timedelta(minutes=1))


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 2), (5, 32), (11, 1440), (1_000_000, 1440)])
def test_the_pause_doubles_up_to_a_day(attempts: int, minutes: int) -> None:
    stores = fake_stores()
    settled(FakeProviderClient(revocation=RevocationResult.FAILED), stores, attempts=attempts)
    (row,) = stores.database.outbox.values()
    assert row.next_try_at == stores.database.clock.now + timedelta(minutes=minutes)


def test_a_token_of_a_provider_no_longer_configured_stays_queued() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    assert settled(client, stores, provider(id="idp2")) is RevocationResult.QUEUED
    assert client.revoked == []


def test_a_token_of_a_former_client_id_is_not_sent_and_not_kept() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    assert settled(client, stores, provider(client_id="client-2")) is RevocationResult.FAILED
    assert client.revoked == []
    assert stores.database.outbox == {}


def test_a_row_that_somebody_else_works_on_is_left_to_them() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    outbox_id = queued(stores)
    stores.outbox.claim(outbox_id, timedelta(seconds=30))
    revoker = Revoker(Registry([provider()]), stores.outbox, client, Places())
    assert revoker.settle(outbox_id) is RevocationResult.QUEUED
    assert revoker.settle(uuid4()) is RevocationResult.QUEUED
    assert client.revoked == []


def shared(stores: FakeStores, at: Provider) -> Debt:
    """What Ada owes for an account that she unlinked and Bob has linked."""
    for who in (PROFILE, BOB):
        stores.links.attach(new_link(who, at=at), AuditEvent("link.created", "success"))
    [gone] = stores.links.unlink(ADA, at.id, None, AuditEvent("link.removed", "success"))
    assert gone.debt is not None
    return gone.debt


def test_a_grant_on_which_anothers_link_rests_is_not_ended_before_that_is_unlinked() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    revoker, debt = Revoker(Registry([provider()]), stores.outbox, client, Places()), shared(stores, provider())
    assert revoker.settle(debt.id) is RevocationResult.QUEUED
    [row] = stores.database.outbox.values()
    assert (row.next_try_at, row.lease_until) == (stores.database.clock.now + timedelta(minutes=1), None)
    stores.database.clock.advance(timedelta(minutes=2))
    assert [revoker.settle_next() for _ in range(2)] == [("idp1", None), None]
    assert client.revoked == []
    stores.links.unlink(BOB.identity, provider().id, None, AuditEvent("link.removed", "success"))
    stores.database.clock.advance(timedelta(minutes=4))
    assert [revoker.settle_next() for _ in range(3)] == [("idp1", RevocationResult.CONFIRMED)] * 2 + [None]


def test_what_has_to_wait_for_others_holds_up_nothing_else() -> None:
    stores = fake_stores()
    shared(stores, provider())
    stores.database.clock.advance(timedelta(seconds=1))
    revoker = Revoker(Registry([provider()]), stores.outbox, FakeProviderClient(), Places())
    [alone] = owing(stores, 1, provider())
    assert [revoker.settle_next() for _ in range(2)] == [("idp1", None), ("idp1", RevocationResult.CONFIRMED)]
    assert alone.id not in stores.database.outbox


def test_what_has_to_wait_for_others_is_looked_at_each_hour_however_long_it_waits() -> None:
    stores = fake_stores()
    debt = shared(stores, provider())
    revoker = Revoker(Registry([provider()]), stores.outbox, FakeProviderClient(), Places())
    pauses = []
    for _ in range(8):
        assert revoker.settle_next() == ("idp1", None)
        row = stores.database.outbox[debt.id]
        pauses.append((row.next_try_at - stores.database.clock.now) / timedelta(minutes=1))
        stores.database.clock.advance(timedelta(hours=1))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_token_of_a_former_client_does_not_wait_for_others() -> None:
    stores, at = fake_stores(), provider(client_id="client-2")
    debt = shared(stores, provider())
    revoker = Revoker(Registry([at]), stores.outbox, FakeProviderClient(), Places())
    assert revoker.settle(debt.id) is RevocationResult.FAILED


def test_anothers_link_is_no_hindrance_where_revoking_ends_one_token() -> None:
    stores, at = fake_stores(), provider(revokes_grant=False)
    debt = shared(stores, at)
    revoker = Revoker(Registry([at]), stores.outbox, FakeProviderClient(), Places())
    assert revoker.settle(debt.id) is RevocationResult.CONFIRMED


def test_a_database_that_is_down_leaves_the_token_queued() -> None:
    stores = fake_stores()
    outbox_id = queued(stores)
    stores.database.down = True
    revoker = Revoker(Registry([provider()]), stores.outbox, FakeProviderClient(), Places())
    assert revoker.settle(outbox_id) is RevocationResult.QUEUED


def test_a_provider_that_left_one_queued_is_not_asked_about_its_others() -> None:
    stores, client = fake_stores(), FakeProviderClient(revocation=RevocationResult.FAILED)
    at_idp1, at_idp2 = provider(), provider(id=ProviderId("idp2"))
    debts = []
    for number, at in enumerate([at_idp1, at_idp1, at_idp2]):
        outbox_id = stores.outbox.queue_revocation(at, ADA, Secret(f"refresh-{number}"))
        assert outbox_id is not None
        debts.append(Debt(outbox_id, at.id))
    results = Revoker(Registry([at_idp1, at_idp2]), stores.outbox, client, Places()).settle_all(debts)
    assert results == {debt.id: RevocationResult.QUEUED for debt in debts}
    assert client.revoked == ["refresh-0", "refresh-2"]
    assert len(stores.database.outbox) == 3


@dataclass(slots=True)
class Hanging(FakeProviderClient):
    """A provider whose revocations do not come back until `answer` is set."""

    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answer: threading.Event = field(default_factory=threading.Event)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        self.asked.release()
        assert self.answer.wait(30)
        return FakeProviderClient.revoke(self, provider, token)

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls have come."""
        for _ in range(calls):
            assert self.asked.acquire(timeout=30)


def owing(stores: FakeStores, number: int, at: Provider) -> list[Debt]:
    """So many debts at this provider."""
    debts = []
    for count in range(number):
        outbox_id = stores.outbox.queue_revocation(at, ADA, Secret(f"refresh-{count}"))
        assert outbox_id is not None
        debts.append(Debt(outbox_id, at.id))
    return debts


def test_a_provider_that_hangs_holds_only_so_many_threads() -> None:
    stores, client, other = fake_stores(), Hanging(), provider(id=ProviderId("idp2"))
    revoker = Revoker(Registry([provider(), other]), stores.outbox, client, Places())
    *hung, late = owing(stores, MOST + 1, provider())
    [elsewhere] = owing(stores, 1, other)
    with ThreadPoolExecutor(MOST + 1) as threads:
        waiting = [threads.submit(revoker.settle_all, [debt]) for debt in hung]
        client.wait_for(MOST)
        assert revoker.settle_all([late]) == {late.id: RevocationResult.QUEUED}
        revoker.give_back(provider(), ADA, Secret("refresh-9"))
        assert client.revoked == []
        waiting.append(threads.submit(revoker.settle_all, [elsewhere]))
        client.wait_for(1)
        client.answer.set()
        receipts = [result for one in waiting for result in one.result(30).values()]
    assert receipts == [RevocationResult.CONFIRMED] * (MOST + 1)
    assert revoker.settle_all([late]) == {late.id: RevocationResult.CONFIRMED}


def test_nobody_else_takes_a_revocation_before_the_longest_one_is_over() -> None:
    rotations = [Rotation(), *(Rotation(RotationKind.GRACE, timedelta(seconds=grace)) for grace in (1, 15, 30, 3600))]
    longest_refresh = max(rotation.deadline for rotation in rotations)
    refused_spent_and_revoked = 2 * timedelta(seconds=REVOCATION_SECONDS) + longest_refresh
    assert refused_spent_and_revoked + timedelta(seconds=20) <= CLAIM


def test_a_linking_waits_for_the_revocation_that_would_end_its_grant() -> None:
    stores, client = fake_stores(), Hanging()
    stores.users.remember(PROFILE)
    revoker = Revoker(Registry([provider()]), stores.outbox, client, Places(), patience_seconds=30)
    row = queued(stores)
    with ThreadPoolExecutor(2) as threads:
        revoking = threads.submit(revoker.settle, row)
        client.wait_for(1)
        linking = threads.submit(revoker.make_way, provider(), ADA)
        assert wait([linking], 0.3).not_done
        client.answer.set()
        assert revoking.result(30) is RevocationResult.CONFIRMED
        linking.result(30)


def test_a_linking_waits_no_longer_than_its_patience() -> None:
    stores = fake_stores()
    stores.users.remember(PROFILE)
    stores.outbox.claim(queued(stores), timedelta(seconds=20))
    revoker = Revoker(Registry([provider()]), stores.outbox, FakeProviderClient(), Places(), patience_seconds=0.2)
    with pytest.raises(ProviderUnavailable) as raised:
        revoker.make_way(provider(), ADA)
    assert raised.value.retry_after == timedelta(seconds=20)


def test_what_is_owed_is_not_revoked_while_the_account_is_linked_again_and_is_not_forgotten() -> None:
    stores, client = fake_stores(), FakeProviderClient()
    stores.users.remember(PROFILE)
    revoker = Revoker(Registry([provider()]), stores.outbox, client, Places())
    row = queued(stores)
    revoker.make_way(provider(), ADA)
    assert revoker.settle(row) is RevocationResult.QUEUED
    assert revoker.settle_next() is None
    stores.database.clock.advance(HELD)
    assert revoker.settle_next() == ("idp1", RevocationResult.CONFIRMED)


def test_revoking_goes_on_where_it_ends_one_token() -> None:
    stores, at = fake_stores(), provider(revokes_grant=False)
    stores.users.remember(PROFILE)
    revoker = Revoker(Registry([at]), stores.outbox, FakeProviderClient(), Places())
    [debt] = owing(stores, 1, at)
    revoker.make_way(at, ADA)
    assert revoker.settle(debt.id) is RevocationResult.CONFIRMED


@dataclass(slots=True)
class AccessOnly(FakeProviderClient):
    """A provider that revokes access tokens alone, and may fail at that; `kept`: what the outbox held at each call."""

    stores: FakeStores = field(default_factory=fake_stores)
    failing: bool = False
    kept: list[str] = field(default_factory=list)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        FakeProviderClient.revoke(self, provider, token)
        self.kept += [row.pending.token.reveal() for row in self.stores.database.outbox.values()]
        if token.reveal().startswith("access") and not self.failing:
            return RevocationResult.CONFIRMED
        return RevocationResult.FAILED


BEARER = provider(revoke_style="bearer")


def paid(client: AccessOnly, *refreshes: Answer) -> RevocationResult:
    """What becomes of a refresh token there."""
    client.refreshes = list(refreshes)
    return settled(client, client.stores, BEARER)


def test_a_refresh_token_is_spent_where_only_access_tokens_are_revoked() -> None:
    client = AccessOnly()
    assert paid(client, granted("access-2", refresh="refresh-2")) is RevocationResult.CONFIRMED
    assert (client.revoked, client.stores.database.outbox) == (["refresh-1", "access-2"], {})


def test_the_successor_of_a_spent_token_is_owed_before_anything_else_is_done() -> None:
    client = AccessOnly(failing=True)
    assert paid(client, granted("access-2", refresh="refresh-2")) is RevocationResult.QUEUED
    assert client.kept == ["refresh-1", "refresh-2"]
    client.failing, client.refreshes = False, [granted("access-3", refresh="refresh-3")]
    client.stores.database.clock.advance(timedelta(minutes=2))
    Revoker(Registry([BEARER]), client.stores.outbox, client, Places()).settle_next()
    assert [call.token for call in client.refresh_calls] == ["refresh-1", "refresh-2"]
    assert client.stores.database.outbox == {}


def test_a_token_that_stays_is_owed_on() -> None:
    client = AccessOnly(failing=True)
    assert paid(client, granted("access-2")) is RevocationResult.QUEUED
    [row] = client.stores.database.outbox.values()
    assert row.pending.token == Secret("refresh-1")


def test_a_successor_in_an_otherwise_useless_answer_is_owed() -> None:
    client = AccessOnly()
    assert paid(client, Unclear("bad-json", Secret("refresh-2"))) is RevocationResult.QUEUED
    [row] = client.stores.database.outbox.values()
    assert row.pending.token == Secret("refresh-2")


@pytest.mark.parametrize("answer", [Refused("invalid_grant"), Unavailable("status-503"), ProviderUnavailable("no")])
def test_a_token_that_cannot_be_spent_stays_owed(answer: Answer) -> None:
    client = AccessOnly()
    assert paid(client, answer) is RevocationResult.QUEUED
    assert client.revoked == ["refresh-1"]


@pytest.mark.parametrize(("failing", "kept"), [(False, []), (True, ["refresh-2"])])
def test_a_successor_that_the_database_does_not_take_at_once_is_revoked_or_kept_later(
    failing: bool, kept: list[str]
) -> None:
    client = AccessOnly(failing=failing)
    client.stores = replace(client.stores, outbox=Reluctant(client.stores.database))
    paid(client, granted("access-2", refresh="refresh-2"))
    assert client.revoked == ["refresh-1", "access-2"]
    assert [row.pending.token.reveal() for row in client.stores.database.outbox.values()] == kept


class Reluctant(FakeOutbox):
    """An outbox that takes no other token at first."""

    refused = False

    def exchange(self, outbox_id: UUID, token: Secret, length: timedelta) -> None:
        if not self.refused:
            self.refused = True
            raise StorageUnavailable("The database cannot be used at present.")
        super().exchange(outbox_id, token, length)

"""Revoking what is owed: one call, a receipt, and never an error for the one who unlinked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from support.core_world import ADA, provider
from support.fake_provider import FakeProviderClient
from support.fakes import FakeStores, fake_stores
from tokenstore.core.model import Provider, RevocationResult
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable


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
    return Revoker(Registry([configured or provider()]), stores.outbox, client).settle(outbox_id)


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
    revoker = Revoker(Registry([provider()]), stores.outbox, client)
    assert revoker.settle(outbox_id) is RevocationResult.QUEUED
    assert revoker.settle(uuid4()) is RevocationResult.QUEUED
    assert client.revoked == []


def test_a_database_that_is_down_leaves_the_token_queued() -> None:
    stores = fake_stores()
    outbox_id = queued(stores)
    stores.database.down = True
    revoker = Revoker(Registry([provider()]), stores.outbox, FakeProviderClient())
    assert revoker.settle(outbox_id) is RevocationResult.QUEUED

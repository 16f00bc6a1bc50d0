"""What every Outbox promises."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from support.harness import ANN, Harness, in_parallel, provider
from tokenstore.core.secret import Secret

MINUTE = timedelta(minutes=1)


def test_a_queued_token_can_be_claimed(stores: Harness) -> None:
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    claimed = stores.outbox.claim(row, MINUTE)
    assert claimed is not None
    assert (claimed.id, claimed.provider_id, claimed.client_id) == (row, "idp1", "client-1")
    assert (claimed.token, claimed.attempts) == (Secret("token"), 0)


def test_a_token_of_a_known_user_can_be_claimed(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_claimed_row_is_not_claimed_again(stores: Harness) -> None:
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    assert sum(one is not None for one in in_parallel(10, lambda _: stores.outbox.claim(row, MINUTE))) == 1


def test_a_claim_ends_by_itself(stores: Harness) -> None:
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    stores.outbox.claim(row, MINUTE)
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_finished_row_is_gone(stores: Harness) -> None:
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    stores.outbox.claim(row, MINUTE)
    stores.outbox.done(row)
    assert stores.owed() == []


def test_a_postponed_row_rests_and_counts(stores: Harness) -> None:
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("token"))
    stores.outbox.claim(row, MINUTE)
    stores.outbox.postpone(row, 5 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is None
    stores.advance(6 * MINUTE)
    again = stores.outbox.claim(row, MINUTE)
    assert again is not None
    assert again.attempts == 1


def test_what_is_unknown_is_not_claimed(stores: Harness) -> None:
    assert stores.outbox.claim(uuid4(), MINUTE) is None

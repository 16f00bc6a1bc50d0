"""What every Outbox promises."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from support.harness import ANN, BOB, Harness, account, event, in_parallel, new_link, provider
from tokenstore.core.model import Account, Provider
from tokenstore.core.secret import Secret

MINUTE = timedelta(minutes=1)


def queued(stores: Harness, at: Provider | None = None, who: Account | None = None) -> UUID:
    """The row of a token of Ann's that was queued."""
    row = stores.outbox.queue_revocation(at or provider(), ANN.identity, Secret("token"), who)
    assert row is not None
    return row


def test_a_queued_token_can_be_claimed(stores: Harness) -> None:
    row = queued(stores)
    claimed = stores.outbox.claim(row, MINUTE)
    assert claimed is not None
    assert (claimed.id, claimed.provider_id, claimed.client_id) == (row, "idp1", "client-1")
    assert (claimed.token, claimed.attempts) == (Secret("token"), 0)


def test_a_token_of_a_known_user_can_be_claimed(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = queued(stores)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_claimed_row_is_not_claimed_again(stores: Harness) -> None:
    row = queued(stores)
    assert sum(one is not None for one in in_parallel(10, lambda _: stores.outbox.claim(row, MINUTE))) == 1


def test_a_claim_ends_by_itself(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.advance(2 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is not None


def test_a_finished_row_is_gone(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.outbox.done(row)
    assert stores.owed() == []


def test_a_postponed_row_rests_and_counts(stores: Harness) -> None:
    row = queued(stores)
    stores.outbox.claim(row, MINUTE)
    stores.outbox.postpone(row, 5 * MINUTE)
    assert stores.outbox.claim(row, MINUTE) is None
    stores.advance(6 * MINUTE)
    again = stores.outbox.claim(row, MINUTE)
    assert again is not None
    assert again.attempts == 1


def test_what_is_unknown_is_not_claimed(stores: Harness) -> None:
    assert stores.outbox.claim(uuid4(), MINUTE) is None


def is_let_go(stores: Harness, at: Provider | None = None, who: Account | None = None) -> bool:
    return stores.outbox.queue_revocation(at or provider(), ANN.identity, Secret("token"), who) is None


def test_a_token_that_may_share_a_links_grant_is_not_queued(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    assert is_let_go(stores)
    assert is_let_go(stores, who=account())
    assert stores.owed() == []


def test_a_token_of_an_account_that_another_user_has_linked_is_not_queued(stores: Harness) -> None:
    stores.links.attach(new_link(BOB), event())
    assert is_let_go(stores, who=account())


def test_a_token_of_an_account_that_nobody_has_linked_is_queued(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    queued(stores, who=account("second"))


@pytest.mark.parametrize(
    "at",
    [provider(revokes_grant=False), provider(client_id="client-2"), provider("idp2")],
    ids=["token", "client", "idp"],
)
def test_a_token_that_shares_no_grant_is_queued(stores: Harness, at: Provider) -> None:
    stores.links.attach(new_link(), event())
    queued(stores, at)


def test_an_unlinked_link_has_no_grant_to_protect(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, None, link.id, event())
    queued(stores, who=account())

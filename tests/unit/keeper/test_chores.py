"""The small chores over fakes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest

from support.core_world import ADA, PROFILE, World, provider
from support.tallies import Tallies
from tokenstore.core.model import (
    Account,
    Asked,
    AuditEvent,
    Identity,
    LinkId,
    Profile,
    Provider,
    RevocationResult,
    TokenSet,
)
from tokenstore.core.places import Places
from tokenstore.core.ports import NewLink, Perished
from tokenstore.core.refresh import Replayed
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled
from tokenstore.errors import StorageUnavailable
from tokenstore.keeper.chores import (
    OWED_AT_ONCE,
    PURGED_AT_ONCE,
    Done,
    FlushUsage,
    Measure,
    PayOwed,
    Purge,
    ReplaySpool,
)

AT = provider(revokes_grant=False)
DAY = timedelta(days=1)


def owing(number: int) -> World:
    """A world in which so many tokens are to be revoked."""
    world = World(AT)
    world.stores.users.remember(PROFILE)
    for count in range(number):
        assert world.stores.outbox.queue_revocation(AT, ADA, Secret(f"token-{count}")) is not None
    return world


def pay(world: World, at: Provider = AT) -> Done:
    registry = Registry([at])
    return PayOwed(Revoker(registry, world.stores.outbox, world.client, Places()), registry, world.gate).run()


def test_what_is_owed_is_paid_some_at_once() -> None:
    world = owing(OWED_AT_ONCE + 1)
    assert pay(world) == Done(OWED_AT_ONCE, more=True)
    assert pay(world) == Done(1)
    assert pay(world) == Done(0)
    assert world.stores.database.outbox == {}


def test_a_provider_that_is_not_called_at_present_is_not_troubled() -> None:
    world = owing(1)
    world.gate.shut(AT.id)
    assert pay(world) == Done(0)
    assert world.client.revoked == []


def test_a_provider_that_left_a_token_queued_is_asked_once_in_a_run() -> None:
    world = owing(OWED_AT_ONCE)
    world.client.revocation = RevocationResult.FAILED
    assert pay(world) == Done(1)
    assert world.client.revoked == ["token-0"]


def test_what_has_to_wait_for_others_takes_no_others_turn() -> None:
    at, world = replace(AT, revokes_grant=True), World(AT)
    event = AuditEvent("link.created", "success")
    for number in range(OWED_AT_ONCE + 1):
        account = Account("https://idp.example", f"a-{number}")
        for who in (PROFILE, Profile(Identity(ADA.issuer, "bob"))):
            tokens = TokenSet(Secret("access"), refresh_token=Secret(f"refresh-{who.identity.subject}-{number}"))
            world.stores.links.attach(NewLink(who, at, account, tokens, frozenset(), monotonic()), event)
    world.stores.links.unlink(ADA, at.id, None, event)
    world.stores.database.clock.advance(timedelta(seconds=1))
    assert world.stores.outbox.queue_revocation(AT, ADA, Secret("alone")) is not None
    assert pay(world, at) == Done(1)
    assert world.client.revoked == ["alone"]


def test_what_cannot_be_revoked_rests_and_is_given_up_after_a_week() -> None:
    world = owing(1)
    world.client.revocation = RevocationResult.FAILED
    assert pay(world) == Done(1)
    assert pay(world) == Done(0)

    world.advance(8 * DAY.total_seconds())

    assert pay(world) == Done(2)
    [event] = [event for event in world.stores.database.events if event.action == "revocation.given-up"]
    assert event == AuditEvent("revocation.given-up", "failure", None, ADA, "idp1")
    assert world.stores.database.outbox == {}


def test_uses_are_flushed() -> None:
    world = World()
    world.usage.note(world.link().id)
    assert FlushUsage(world.usage).run() == Done(1)


def test_a_database_that_is_down_is_asked_again_soon_for_the_spool() -> None:
    class Down:
        def replay_all(self) -> Replayed:
            raise StorageUnavailable("The database cannot be used at present.")

    assert ReplaySpool(Down()).run() == Done(0, more=True, failed=1)  # type: ignore[arg-type]  # all that it calls


def test_an_answer_that_cannot_be_saved_is_told() -> None:
    world = World()
    tokens = TokenSet(Secret("access-2"), refresh_token=Secret("refresh-2"))
    world.spool.answers.append(Spooled(LinkId(uuid4()), 1, Asked(), tokens, world.now))
    assert ReplaySpool(world.recovery).run() == Done(0, failed=1)


def test_an_empty_spool_is_nothing_to_do() -> None:
    assert ReplaySpool(World().recovery).run() == Done(0)


@dataclass(slots=True)
class Heaps:
    """The `Perishables` port: so much of each kind."""

    left: dict[Perished, int] = field(default_factory=dict)

    def purge(self, what: Perished, limit: int) -> int:
        gone = min(self.left.get(what, 0), limit)
        self.left[what] = self.left.get(what, 0) - gone
        return gone


def test_every_kind_is_purged_and_counted() -> None:
    metrics = Tallies()
    assert Purge(Heaps(dict.fromkeys(Perished, 1)), metrics).run() == Done(len(Perished))
    assert metrics.purges == {what.value: 1 for what in Perished}


def test_a_heap_that_is_too_large_for_one_run_is_gone_on_with_soon() -> None:
    chore = Purge(Heaps({Perished.SESSIONS: PURGED_AT_ONCE + 1}), Tallies())
    assert [chore.run(), chore.run()] == [Done(PURGED_AT_ONCE, more=True), Done(1)]


def test_depths_are_measured() -> None:
    world, metrics = owing(2), Tallies()
    world.advance(90)
    Measure(world.stores.outbox, world.spool, metrics).run()
    assert metrics.depths == {"outbox": (2, 90.0), "spool": (0, 0.0)}


def test_the_spool_is_measured_even_if_the_database_is_down() -> None:
    world, metrics = owing(1), Tallies()
    world.stores.database.down = True
    with pytest.raises(StorageUnavailable):
        Measure(world.stores.outbox, world.spool, metrics).run()
    assert metrics.depths == {"spool": (0, 0.0)}


def test_a_spool_that_cannot_be_used_fails_after_all_is_measured() -> None:
    world, metrics = owing(1), Tallies()
    world.spool.full = True
    with pytest.raises(StorageUnavailable):
        Measure(world.stores.outbox, world.spool, metrics).run()
    assert set(metrics.depths) == {"outbox", "spool"}

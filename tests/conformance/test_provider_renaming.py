"""After a provider got another id every link hands out and refreshes there, on every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from support.fake_provider import FakeProviderClient
from support.harness import (
    ANN,
    BOB,
    HOUR,
    ZERO,
    SqlHarness,
    account,
    attempt,
    break_link,
    event,
    new_link,
    provider,
    tokens,
)
from support.stores import sql_stores
from support.tallies import Tallies
from tokenstore.core.lessons import Fact
from tokenstore.core.model import Asked, Doubt, Link, LinkState, Profile, ProviderId, Rotation, RotationKind
from tokenstore.core.places import Places
from tokenstore.core.ports import Failure, Waiting
from tokenstore.core.refresh import Keeping, Recovery, Replayed, Timing
from tokenstore.core.refusals import MassRefusal
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled
from tokenstore.store.provider_admin import Held, ProviderAdmin
from tokenstore.store.provider_facts import SqlProviderFacts
from tokenstore.store.quarantine import SqlQuarantine, impose
from tokenstore.store.renaming import Fate, ProviderRenaming
from tokenstore.store.spool import FileSpool
from tokenstore.store.tables import link as link_table
from tokenstore.store.tables import link_attempt, metadata, outbox, vault_key
from tokenstore.store.waiting import SqlWaitingStore

OLD, NEW = ProviderId("idp1"), ProviderId("idp2")
LENGTH = timedelta(seconds=20)
AT_OLD = provider("idp1", rotation=Rotation(RotationKind.KEEP_OLD), revokes_grant=False)
PLAIN = Asked().variant


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def stores(request: pytest.FixtureRequest) -> Iterator[SqlHarness]:
    with sql_stores(str(request.getfixturevalue(request.param))) as made:
        yield SqlHarness.over(made)


def linked(stores: SqlHarness, user: Profile = ANN, subject: str = "s-1", refresh: str | None = "refresh-1") -> Link:
    """A link at the old id that was refreshed once, with two variants of access token and a previous token."""
    received = tokens(f"access of {subject}", refresh)
    made = stores.links.attach(new_link(user, AT_OLD, account(subject), received), event())
    if refresh is not None:
        lease = stores.links.take_lease(made, "me", LENGTH)
        assert lease is not None
        new = tokens(f"api access of {subject}", f"second refresh of {subject}")
        assert stores.links.save_refreshed(lease, AT_OLD, new, Asked(audience="api"), ZERO, event())
    return made


def renaming(stores: SqlHarness, old: ProviderId = OLD, new: ProviderId = NEW) -> ProviderRenaming:
    return ProviderRenaming(stores.stores.database, stores.stores.vault, old, new)


def rename(stores: SqlHarness, *, dry_run: bool = False) -> Counter[Fate]:
    return Counter(moved.fate for moved in renaming(stores).run(dry_run=dry_run))


def token_of(stores: SqlHarness, link: Link, user: Profile = ANN, variant: str = PLAIN) -> str | None:
    holding = stores.links.read(user.identity, NEW, link.id, variant)
    return None if holding is None or holding.token is None else holding.token.value.reveal()


def refresh(stores: SqlHarness, link: Link, user: Profile = ANN) -> tuple[str, str | None]:
    """Refresh at the new id; the current and the previous token that were there for it."""
    holding = stores.links.read(user.identity, NEW, link.id, PLAIN)
    assert holding is not None
    lease = stores.links.take_lease(holding.link, "me", LENGTH)
    assert lease is not None
    assert stores.links.save_refreshed(lease, provider("idp2"), tokens("new", "third"), Asked(), ZERO, event())
    previous = lease.previous_token
    return lease.refresh_token.reveal(), None if previous is None else previous.reveal()


def test_every_link_hands_out_and_refreshes(stores: SqlHarness) -> None:
    people = [(user, subject) for user in (ANN, BOB) for subject in ("s-1", "s-2", "s-3")]
    links = [(user, subject, linked(stores, user, subject)) for user, subject in people]
    assert rename(stores) == {Fate.MOVED: 6}
    for user, subject, link in links:
        assert token_of(stores, link, user) == f"access of {subject}"
        assert token_of(stores, link, user, Asked(audience="api").variant) == f"api access of {subject}"
        assert refresh(stores, link, user) == (f"second refresh of {subject}", "refresh-1")
        assert token_of(stores, link, user) == "new"


def test_the_default_stays_the_default(stores: SqlHarness) -> None:
    first, _ = linked(stores), linked(stores, subject="s-2")
    rename(stores)
    holding = stores.links.read(ANN.identity, NEW, None, PLAIN)
    assert holding is not None
    assert holding.link.id == first.id


def test_a_default_at_the_new_id_goes_before_the_one_that_comes(stores: SqlHarness) -> None:
    there = stores.links.attach(new_link(at=provider("idp2"), who=account("other", "idp1")), event())
    linked(stores)
    rename(stores)
    standings = stores.links.standings(ANN.identity)
    assert [(one.link.id, one.link.provider_id) for one in standings if one.link.is_default] == [(there.id, NEW)]
    assert len(standings) == 2


def test_a_link_without_refresh_token_moves_with_its_access_token(stores: SqlHarness) -> None:
    link = linked(stores, refresh=None)
    rename(stores)
    assert token_of(stores, link) == "access of s-1"


def test_a_broken_link_stays_broken(stores: SqlHarness) -> None:
    link = linked(stores)
    lease = stores.links.take_lease(stores.links.standings(ANN.identity)[0].link, "me", LENGTH)
    assert lease is not None
    break_link(stores.links, lease, event())
    stores.links.release_lease(lease, Failure("invalid_grant", timedelta()))
    stores.advance(HOUR)
    assert rename(stores) == {Fate.MOVED: 1}
    standing = stores.links.standings(ANN.identity)[0]
    assert (standing.link.id, standing.link.state) == (link.id, LinkState.BROKEN)


def test_a_disabled_users_links_move_too(stores: SqlHarness) -> None:
    linked(stores)
    stores.disable(ANN.identity)
    assert rename(stores) == {Fate.MOVED: 1}


def test_what_is_owed_can_be_revoked_under_the_new_id(stores: SqlHarness) -> None:
    linked(stores)
    debt = stores.links.unlink(ANN.identity, OLD, None, event())[0].debt
    assert debt is not None
    assert rename(stores) == {Fate.MOVED: 1, Fate.OWED_MOVED: 2}  # the previous token, too
    claimed = stores.outbox.claim(debt.id, LENGTH)
    assert claimed is not None
    assert (claimed.provider_id, claimed.token) == (NEW, Secret("second refresh of s-1"))


def test_a_token_that_is_being_revoked_waits_for_the_next_run(stores: SqlHarness) -> None:
    row = stores.outbox.queue_revocation(AT_OLD, ANN.identity, Secret("token"))
    assert row is not None
    stores.outbox.claim(row, LENGTH)
    assert rename(stores) == {Fate.BUSY: 1}
    stores.advance(HOUR)
    assert rename(stores) == {Fate.OWED_MOVED: 1}


def test_tokens_that_wait_for_a_word_wait_under_the_new_id(stores: SqlHarness) -> None:
    stores.users.remember(ANN)
    store = SqlWaitingStore(stores.stores.database, stores.stores.vault)
    waiting = Waiting(
        *(uuid4(), ANN.identity, OLD, "client-1", account(), tokens(), frozenset({"openid"})),
        *(monotonic(), "/", False, None),
    )
    store.save(waiting, "browser-1", HOUR, event())
    assert rename(stores, dry_run=True) == rename(stores) == {Fate.WAITING_MOVED: 1}
    found = store.find(waiting.id, ANN.identity, "browser-1")
    assert found is not None
    assert (found.provider_id, found.tokens) == (NEW, waiting.tokens)


def test_every_table_that_names_a_provider_is_moved_or_left_on_purpose() -> None:
    moved = {"link", "link_attempt", "link_waiting", "outbox", "provider_seen", "provider_state"}
    assert {table.name for table in metadata.sorted_tables if "provider_id" in table.c} == {*moved, "audit_event"}


def test_attempts_are_dropped_and_facts_go_along(stores: SqlHarness) -> None:
    facts = SqlProviderFacts(stores.stores.database)
    facts.learn(OLD, {Fact("rotates", "yes"), Fact("expiry", "known")})
    facts.learn(NEW, {Fact("rotates", "yes")})
    stores.attempts.save(attempt(at=stores.attempts))
    rename(stores)
    with stores.stores.database.reading() as connection:
        assert connection.execute(select(link_attempt.c.id)).all() == []
    assert [(one.provider_id, one.fact.name) for one in facts.seen()] == [(NEW, "expiry"), (NEW, "rotates")]


def test_each_link_has_its_event(stores: SqlHarness) -> None:
    link = linked(stores)
    rename(stores)
    assert stores.events()[-1] == ("link.moved", NEW, link.id)


def test_nothing_of_the_old_id_is_left_but_events(stores: SqlHarness) -> None:
    linked(stores)
    stores.links.unlink(ANN.identity, OLD, None, event())
    linked(stores, BOB)
    rename(stores)
    named = [table for table in metadata.sorted_tables if "provider_id" in table.c and table.name != "audit_event"]
    with stores.stores.database.reading() as connection:
        for table in named:
            assert connection.execute(select(table).where(table.c.provider_id == OLD)).all() == []


def test_dry_run_foretells_and_changes_nothing(stores: SqlHarness) -> None:
    linked(stores)
    stores.outbox.queue_revocation(provider(revokes_grant=False), BOB.identity, Secret("token"))
    before = everything(stores)
    assert rename(stores, dry_run=True) == {Fate.MOVED: 1, Fate.OWED_MOVED: 1}
    assert everything(stores) == before
    assert rename(stores) == {Fate.MOVED: 1, Fate.OWED_MOVED: 1}


def test_second_run_finds_nothing_to_do(stores: SqlHarness) -> None:
    linked(stores)
    rename(stores)
    before = everything(stores)
    assert rename(stores) == {}
    assert everything(stores) == before


def test_a_run_that_was_stopped_goes_on(stores: SqlHarness) -> None:
    links = [(user, linked(stores, user)) for user in (ANN, BOB)]
    next(renaming(stores).run(dry_run=False))
    assert rename(stores) == {Fate.MOVED: 1}
    for user, link in links:
        assert refresh(stores, link, user)[0] == "second refresh of s-1"


def test_a_user_whose_link_is_being_refreshed_waits_for_the_next_run(stores: SqlHarness) -> None:
    linked(stores)
    linked(stores, subject="s-2")
    lease = stores.links.take_lease(stores.links.standings(ANN.identity)[0].link, "me", LENGTH)
    assert lease is not None
    assert rename(stores) == {Fate.BUSY: 2}
    stores.links.save_refreshed(lease, AT_OLD, tokens("newer", "third"), Asked(), ZERO, event())
    assert rename(stores) == {Fate.MOVED: 2}
    assert refresh(stores, lease.link)[0] == "third"


def test_a_late_refresh_of_before_is_kept_as_the_previous_token(stores: SqlHarness) -> None:
    link = linked(stores)
    lease = stores.links.take_lease(stores.links.standings(ANN.identity)[0].link, "me", LENGTH)
    assert lease is not None
    stores.advance(timedelta(minutes=1))
    rename(stores)
    late = tokens("late", "late refresh")
    assert stores.links.save_refreshed(lease, AT_OLD, late, Asked(), ZERO, event()) is None
    assert stores.links.settle_superseded(lease.link, AT_OLD, late) is None
    assert refresh(stores, link) == ("second refresh of s-1", "late refresh")


def test_an_answer_that_waited_in_a_spool_is_saved_after_the_renaming(stores: SqlHarness, tmp_path: Path) -> None:
    link = linked(stores)
    lease = stores.links.take_lease(stores.links.standings(ANN.identity)[0].link, "dead/one", LENGTH)
    assert lease is not None
    spool, now = FileSpool(tmp_path, stores.stores.vault), datetime.now(UTC)
    place = spool.reserve(lease.link)
    place.keep(Spooled(link.id, lease.version, Asked(), tokens("waited", "refresh that waited"), now))
    place.close()
    stores.advance(timedelta(minutes=1))
    rename(stores)
    assert recovery(stores, FileSpool(tmp_path, stores.stores.vault)).replay_all() == Replayed(saved=1, left=0)
    assert token_of(stores, link) == "waited"
    assert refresh(stores, link) == ("refresh that waited", None)


def recovery(stores: SqlHarness, spool: FileSpool) -> Recovery:
    """As after the start under the new id, at a provider that takes no token twice."""
    strict = provider("idp2")
    registry, client = Registry([strict]), FakeProviderClient()
    keeping = Keeping(stores.links, Revoker(registry, stores.outbox, client, Places()), Tallies(), Timing())
    return Recovery(registry, stores.links, spool, keeping)


def test_a_lease_that_was_not_given_back_leaves_doubt_after_the_renaming_too(stores: SqlHarness) -> None:
    link = linked(stores)
    stores.links.take_lease(stores.links.standings(ANN.identity)[0].link, "dead/one", LENGTH)
    stores.advance(timedelta(minutes=1))
    rename(stores)
    holding = stores.links.read(ANN.identity, NEW, link.id, PLAIN)
    assert holding is not None
    lease = stores.links.take_lease(holding.link, "other/two", LENGTH)
    assert lease is not None
    assert lease.link.doubt is Doubt.INTERRUPTED


def test_who_held_a_lease_under_the_old_id_saves_and_takes_nothing_under_the_new(stores: SqlHarness) -> None:
    linked(stores)
    before = stores.links.standings(ANN.identity)[0].link
    lease = stores.links.take_lease(before, "me", LENGTH)
    assert lease is not None
    stores.advance(timedelta(minutes=1))
    rename(stores)
    late = stores.links.save_refreshed(lease, AT_OLD, tokens("late", "late refresh"), Asked(), ZERO, event())
    rotated = stores.links.save_rotation(lease, AT_OLD, Secret("late refresh"), ZERO, Failure("odd", ZERO))
    taken = stores.links.take_lease(before, "other", LENGTH)
    assert (late, rotated, stores.links.renew_lease(lease, LENGTH), taken) == (None, False, False, None)


def test_a_link_that_cannot_be_opened_stays_where_it_is(stores: SqlHarness) -> None:
    bad, good = linked(stores), linked(stores, BOB)
    stores.spoil(bad.id)
    assert rename(stores) == {Fate.UNREADABLE: 1, Fate.MOVED: 1}
    assert token_of(stores, good, BOB) == "access of s-1"
    assert stores.links.standings(ANN.identity)[0].link.provider_id == OLD


def test_an_account_that_is_linked_under_both_ids_clashes_and_stays(stores: SqlHarness) -> None:
    here = linked(stores)
    there = stores.links.attach(new_link(at=provider("idp2"), who=account("s-1")), event())
    assert ProviderAdmin(stores.stores.database).clashes(OLD, NEW) == [(here.id, there.id)]
    assert rename(stores) == {Fate.TAKEN: 1}
    assert {one.link.provider_id for one in stores.links.standings(ANN.identity)} == {OLD, NEW}


def test_what_was_unlinked_gives_way_to_what_is_linked(stores: SqlHarness) -> None:
    for unlinked_first, fate in ((OLD, Fate.SUPERSEDED), (NEW, Fate.MOVED)):
        linked(stores)
        stores.links.attach(new_link(at=provider("idp2"), who=account("s-1")), event())
        stores.links.unlink(ANN.identity, unlinked_first, None, event())
        assert ProviderAdmin(stores.stores.database).clashes(OLD, NEW) == []
        assert rename(stores)[fate] == 1
        standing = stores.links.standings(ANN.identity)
        assert [(one.link.provider_id, one.link.is_default) for one in standing] == [(NEW, True)]
        empty(stores)


def test_links_are_counted_by_state_issuer_and_client(stores: SqlHarness) -> None:
    linked(stores)
    broken = linked(stores, subject="s-2")
    linked(stores, BOB, "s-3")
    stores.links.unlink(BOB.identity, OLD, None, event())
    with stores.stores.database.writing() as connection:
        connection.execute(update(link_table).where(link_table.c.id == broken.id).values(state=LinkState.BROKEN))
    admin = ProviderAdmin(stores.stores.database)
    assert admin.links() == {OLD: {LinkState.ACTIVE: 1, LinkState.BROKEN: 1}}
    assert admin.held(OLD) == [Held("https://idp1.example", "client-1", 2)]


def everything(stores: SqlHarness) -> list[object]:
    with stores.stores.database.reading() as connection:
        return [connection.execute(select(table)).all() for table in metadata.sorted_tables]


def empty(stores: SqlHarness) -> None:
    with stores.stores.database.writing() as connection:
        for table in (outbox, *reversed(metadata.sorted_tables)):
            if table is not vault_key:
                connection.execute(delete(table))


def test_a_quarantine_goes_along(stores: SqlHarness) -> None:
    with stores.stores.database.writing() as connection:
        impose(connection, OLD, MassRefusal(), replace(event(), provider_id=OLD))
    rename(stores)
    assert list(SqlQuarantine(stores.stores.database).quarantined()) == [NEW]

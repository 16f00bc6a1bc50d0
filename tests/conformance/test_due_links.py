"""What the keeper's part of the store promises, on both databases: due links, last uses, what has had its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy import event as hooks

from support.harness import (
    ANN,
    BOB,
    HOUR,
    STRICT,
    SqlHarness,
    account,
    event,
    in_parallel,
    new_link,
    provider,
    tokens,
)
from support.stores import SqlStores, sql_stores
from tokenstore.core.due import Due, decide
from tokenstore.core.model import Asked, Identity, Link, LinkId, LinkState, Profile, Provider, Respect
from tokenstore.core.ports import Failure, Perished
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now, from_now
from tokenstore.store.due import SqlDueLinks, SqlUsedLinks
from tokenstore.store.patience import patience
from tokenstore.store.purge import SqlPurge
from tokenstore.store.tables import (
    access_token,
    link,
    link_attempt,
    login,
    logout_notice,
    outbox,
    provider_state,
    session,
    user_account,
)
from tokenstore.vault.envelope import Context
from tokenstore.vault.vault import Vault

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACTION = event("token.refresh")


class Kept:
    """The stores with those of the keeper, and what tests do behind their back."""

    def __init__(self, stores: SqlStores) -> None:
        over = SqlHarness.over(stores)
        self.stores, self.links, self.users = stores, over.links, over.users
        self.advance, self.disable, self.spoil = over.advance, over.disable, over.spoil

    @property
    def due(self) -> SqlDueLinks:
        return SqlDueLinks(self.stores.database, self.stores.vault)

    def link(self, user: Profile = ANN, at: Provider | None = None, **received: object) -> Link:
        """A new link."""
        return self.links.attach(new_link(user, at, received=tokens(**received)), event())  # type: ignore[arg-type]  # as `tokens` takes them

    def due_link(self, user: Profile = ANN, at: Provider | None = None) -> Link:
        """A link that is due."""
        made = self.link(user, at)
        self.change(made.id, due_at=from_now(-MINUTE))
        return made

    def change(self, link_id: LinkId, **values: object) -> None:
        with self.stores.database.writing() as connection:
            connection.execute(update(link).where(link.c.id == link_id).values(values))

    def column(self, link_id: LinkId, name: str) -> object:
        with self.stores.database.reading() as connection:
            return connection.execute(select(link.c[name]).where(link.c.id == link_id)).scalar_one()

    def due_in(self, link_id: LinkId) -> timedelta | None:
        with self.stores.database.reading() as connection:
            at, now = connection.execute(select(link.c.due_at, db_now()).where(link.c.id == link_id)).one()
        return None if at is None else at - now

    def take(self, limit: int = 10, at: Provider | None = None, owner: str = "node/one") -> Sequence[Due]:
        return self.due.take_due(at or provider(), owner, limit)

    def count(self, table: Table) -> int:
        with self.stores.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Empty stores on one database."""
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    with sql_stores(url) as made:
        yield Kept(made)


def people(number: int) -> Sequence[Profile]:
    return [Profile(Identity("https://login.example", f"user-{count}")) for count in range(number)]


def near(found: timedelta | None, expected: timedelta) -> bool:
    return found is not None and abs(found - expected) < timedelta(seconds=20)


# What is taken.


def test_a_due_link_is_leased_with_all_that_is_to_be_known(stores: Kept) -> None:
    made = stores.due_link()

    [due] = stores.take()

    assert (due.lease.link.id, due.lease.owner, due.lease.version) == (made.id, "node/one", 1)
    assert due.lease.refresh_token == Secret("refresh-1")
    assert due.owner == ANN.identity
    assert due.access_issued_at is not None
    assert due.access_expires_at is not None
    assert due.access_expires_at - due.access_issued_at == HOUR
    assert near(due.now - due.access_issued_at, timedelta())
    assert due.lease.link.lease_until is not None
    assert near(due.lease.link.lease_until - due.now, STRICT.lease)


def test_its_refresh_can_be_saved(stores: Kept) -> None:
    stores.due_link()
    [due] = stores.take()

    saved = stores.links.save_refreshed(
        due.lease, provider(), tokens("access-2", "refresh-2"), Asked(), timedelta(), ACTION
    )

    assert saved is not None
    assert stores.take() == []


def test_a_link_without_an_access_token_is_taken(stores: Kept) -> None:
    stores.due_link()
    with stores.stores.database.writing() as connection:
        connection.execute(access_token.delete())

    [due] = stores.take()

    assert (due.access_issued_at, due.access_expires_at) == (None, None)


def test_a_link_is_not_taken_before_its_time(stores: Kept) -> None:
    made = stores.link()
    assert stores.take() == []
    stores.change(made.id, due_at=None)
    assert stores.take() == []


def test_no_more_are_taken_than_wanted_and_the_oldest_first(stores: Kept) -> None:
    made = [stores.due_link(user) for user in people(5)]
    for minutes, one in enumerate(made):
        stores.change(one.id, due_at=from_now(-(minutes + 1) * MINUTE))

    first = {due.lease.link.id for due in stores.take(2)}
    second = {due.lease.link.id for due in stores.take(2)}

    assert first == {made[4].id, made[3].id}
    assert second == {made[2].id, made[1].id}


def test_two_who_claim_at_once_never_get_the_same_link(stores: Kept) -> None:
    made = {stores.due_link(user).id for user in people(24)}

    taken = in_parallel(8, lambda number: stores.take(4, owner=f"node/{number}"))

    ids = [due.lease.link.id for batch in taken for due in batch]
    assert len(ids) == len(set(ids))
    # Whoever found the rows of another locked passed them over; nothing is left to one who comes alone.
    while more := stores.take(4):
        ids += [due.lease.link.id for due in more]
    assert sorted(ids) == sorted(made)


def test_a_claimed_link_is_not_claimed_again_until_its_lease_has_ended(stores: Kept) -> None:
    stores.due_link()
    assert len(stores.take()) == 1
    assert stores.take() == []

    stores.advance(STRICT.lease + MINUTE)

    [due] = stores.take(owner="node/two")
    assert due.lease.link.doubt == "interrupted"


def test_the_lapsed_lease_of_another_machine_is_respected_for_a_while(stores: Kept) -> None:
    stores.due_link()
    stores.take(owner="node-1/one")
    stores.advance(STRICT.lease + timedelta(seconds=1))

    assert stores.due.take_due(provider(), "node-2/two", 1, Respect(MINUTE)) == []
    assert len(stores.due.take_due(provider(), "node-1/two", 1, Respect(MINUTE, but_first=MINUTE))) == 1


def test_a_link_that_backs_off_is_not_taken(stores: Kept) -> None:
    stores.due_link()
    [due] = stores.take()
    stores.links.release_lease(due.lease, Failure("unavailable", MINUTE))

    assert stores.take() == []
    stores.advance(2 * MINUTE)
    assert len(stores.take()) == 1


def test_links_of_a_provider_in_quarantine_are_not_taken_even_if_a_probe_is_due(stores: Kept) -> None:
    stores.due_link()
    state = {"quarantined_at": from_now(-HOUR), "probe_at": from_now(-HOUR), "counted_from": from_now(-HOUR)}
    with stores.stores.database.writing() as connection:
        connection.execute(insert(provider_state).values(provider_id="idp1", **state))

    assert stores.take() == []


def test_links_of_disabled_users_are_not_taken(stores: Kept) -> None:
    stores.due_link()
    stores.due_link(BOB)
    stores.disable(ANN.identity)

    assert [due.owner for due in stores.take()] == [BOB.identity]


@pytest.mark.parametrize("state", ["broken", "revoked"])
def test_links_that_ended_are_not_taken(stores: Kept, state: str) -> None:
    made = stores.due_link()
    none = {"refresh_sealed": None, "is_default": False} if state == "revoked" else {}
    stores.change(made.id, state=state, **none)

    assert stores.take() == []


def test_links_elsewhere_or_of_another_client_are_not_taken(stores: Kept) -> None:
    stores.due_link(at=provider("idp2"))
    stores.due_link(at=provider(client_id="client-2"))

    assert stores.take() == []


def test_a_link_that_cannot_be_opened_is_put_off_and_does_not_stop_the_others(stores: Kept) -> None:
    spoiled, good = stores.due_link(), stores.due_link(BOB)
    stores.spoil(spoiled.id)

    assert [due.lease.link.id for due in stores.take()] == [good.id]
    assert stores.column(spoiled.id, "lease_owner") is None
    assert near(stores.due_in(spoiled.id), HOUR)


class LosingVault(Vault):
    """A vault that opens so many secrets and then fails in a way that nobody foresaw."""

    def __init__(self, vault: Vault, opens: int) -> None:
        self._vault, self._opens = vault, opens

    def ready(self) -> None:
        self._vault.ready()

    def open(self, sealed: bytes, context: Context) -> Secret:
        self._opens -= 1
        if self._opens < 0:
            raise ZeroDivisionError
        return self._vault.open(sealed, context)


@pytest.mark.parametrize("opens", [0, 1, 2])
def test_what_was_claimed_is_given_back_when_not_all_of_it_can_be_worked_with(stores: Kept, opens: int) -> None:
    made = [stores.due_link(person) for person in people(3)]
    failing = SqlDueLinks(stores.stores.database, LosingVault(stores.stores.vault, opens))

    with pytest.raises(ZeroDivisionError):
        failing.take_due(provider(), "node/one", 10)

    assert [stores.column(link.id, "lease_owner") for link in made] == [None] * 3
    assert [due.lease.link.doubt for due in stores.take()] == [None] * 3


# What is given back.


def test_a_lease_is_given_back_with_a_new_time(stores: Kept) -> None:
    made = stores.due_link()
    [due] = stores.take()

    stores.due.reschedule(due.lease, HOUR)

    assert near(stores.due_in(made.id), HOUR)
    assert stores.links.take_lease(made, "node/other", MINUTE) is not None


def test_a_lease_is_given_back_without_a_time(stores: Kept) -> None:
    made = stores.due_link()
    [due] = stores.take()
    stores.due.reschedule(due.lease, None)
    assert stores.due_in(made.id) is None


def test_the_lease_of_another_is_not_given_back(stores: Kept) -> None:
    made = stores.due_link()
    [due] = stores.take()
    stores.advance(STRICT.lease + MINUTE)
    stores.take(owner="node/other")

    stores.due.reschedule(due.lease, HOUR)

    assert stores.column(made.id, "lease_owner") == "node/other"
    assert not near(stores.due_in(made.id), HOUR)


# What a provider would forget.

IDLE = 90 * DAY
FORGETFUL = replace(provider(), refresh_idle=IDLE)


@pytest.mark.parametrize("due_in", [None, 30 * DAY])
def test_an_unused_link_of_before_the_idle_time_was_known_is_taken_in_time(
    stores: Kept, due_in: timedelta | None
) -> None:
    made = stores.link()
    stores.change(made.id, linked_at=from_now(-73 * DAY), due_at=None if due_in is None else from_now(due_in))
    assert stores.due.bring_forward(FORGETFUL, 10) == 1
    [due] = stores.take(at=FORGETFUL)
    assert decide(FORGETFUL, due, 30 * DAY) is None


@pytest.mark.parametrize("due_in", [None, 80 * DAY])
def test_one_that_has_time_left_becomes_due_when_it_has_not(stores: Kept, due_in: timedelta | None) -> None:
    made = stores.link()
    times = {"linked_at": from_now(-100 * DAY), "last_refresh_at": from_now(-10 * DAY)}
    stores.change(made.id, **times, due_at=None if due_in is None else from_now(due_in))
    assert stores.due.bring_forward(FORGETFUL, 10) == 1
    assert near(stores.due_in(made.id), 62 * DAY)
    assert stores.due.bring_forward(FORGETFUL, 10) == 0


def test_no_more_are_brought_forward_than_wanted(stores: Kept) -> None:
    for user in people(3):
        stores.change(stores.link(user).id, due_at=None)
    assert [stores.due.bring_forward(FORGETFUL, 2) for _ in range(3)] == [2, 1, 0]


def test_looking_for_links_to_bring_forward_waits_for_no_writer(stores: Kept) -> None:
    stores.link()
    with stores.stores.database.writing() as connection, ThreadPoolExecutor(1) as threads:
        connection.execute(update(link).values(label=link.c.label))
        looking = threads.submit(stores.due.bring_forward, FORGETFUL, 10)
        assert wait([looking], 2).done
    assert looking.result(30) == 0


def test_looking_for_links_to_bring_forward_may_take_its_time(stores: Kept) -> None:
    patiences = []
    hooks.listen(stores.stores.engine, "before_cursor_execute", lambda *_: patiences.append(patience()))
    stores.due.bring_forward(FORGETFUL, 10)
    assert set(patiences) == {60.0}


def test_a_link_that_changes_between_look_and_change_is_not_brought_forward(stores: Kept) -> None:
    made = stores.link()
    stores.change(made.id, due_at=None)
    looked = Event()

    def change_once(*_: object) -> None:
        if not looked.is_set():
            looked.set()
            stores.change(made.id, due_at=from_now(HOUR))

    hooks.listen(stores.stores.engine, "after_cursor_execute", change_once)
    assert stores.due.bring_forward(FORGETFUL, 10) == 0
    assert near(stores.due_in(made.id), HOUR)


def test_a_link_that_is_due_earlier_anyway_stays_so(stores: Kept) -> None:
    for made, due_in in ((stores.link(), HOUR), (stores.link(BOB), -HOUR)):
        stores.change(made.id, linked_at=from_now(-73 * DAY if due_in < HOUR else -DAY), due_at=from_now(due_in))
    assert stores.due.bring_forward(FORGETFUL, 10) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"provider_id": "another"},
        {"client_id": "another"},
        {"refresh_sealed": None},
        {"state": LinkState.BROKEN},
    ],
    ids=lambda change: " ".join(str(word) for word in next(iter(change.items()))),
)
def test_only_what_can_be_refreshed_there_is_brought_forward(stores: Kept, change: dict[str, object]) -> None:
    stores.change(stores.link().id, due_at=None, **change)
    assert stores.due.bring_forward(FORGETFUL, 10) == 0


def test_nothing_is_brought_forward_where_nothing_is_forgotten(stores: Kept) -> None:
    stores.change(stores.link().id, due_at=None)
    assert stores.due.bring_forward(provider(), 10) == 0


# When a link is due after linking, refreshing and unlinking.


def test_a_new_link_is_due_before_its_access_token_ends(stores: Kept) -> None:
    due_in = stores.due_in(stores.link().id)
    assert due_in is not None
    assert timedelta(minutes=50) < due_in < timedelta(minutes=58)


def test_a_link_that_is_linked_again_is_due_anew(stores: Kept) -> None:
    made = stores.link()
    stores.change(made.id, due_at=None)
    stores.link()
    assert stores.due_in(made.id) is not None


def test_a_link_that_goes_on_with_its_refresh_token_is_due_anew(stores: Kept) -> None:
    made = stores.link()
    stores.change(made.id, due_at=None)
    stores.link(refresh=None)
    assert stores.due_in(made.id) is not None


def test_a_link_without_refresh_token_is_never_due(stores: Kept) -> None:
    assert stores.due_in(stores.link(refresh=None).id) is None


def test_a_refreshed_link_is_due_before_its_access_token_ends(stores: Kept) -> None:
    made = stores.due_link()
    [due] = stores.take()

    stores.links.save_refreshed(due.lease, provider(), tokens(expires_in=4 * HOUR), Asked(), timedelta(), ACTION)

    due_in = stores.due_in(made.id)
    assert due_in is not None
    assert 3 * HOUR < due_in < 4 * HOUR


def test_an_idle_limit_comes_first_where_it_is_near(stores: Kept) -> None:
    at = replace(provider(), refresh_idle=timedelta(minutes=10))
    assert near(stores.due_in(stores.link(at=at).id), timedelta(minutes=8))


# Last uses.


def test_the_first_use_is_written_and_the_next_only_after_a_while(stores: Kept) -> None:
    made = stores.link()
    used = SqlUsedLinks(stores.stores.database)

    assert used.used([made.id], MINUTE) == 1
    assert used.used([made.id], MINUTE) == 0
    first = stores.column(made.id, "last_used_at")
    stores.advance(2 * MINUTE)
    assert used.used([made.id, LinkId(uuid4())], MINUTE) == 1
    assert first is not None


def test_uses_are_written_from_all_sides_at_once(stores: Kept) -> None:
    ids = [stores.link(user).id for user in people(12)]
    used = SqlUsedLinks(stores.stores.database)

    in_parallel(6, lambda number: used.used(ids if number % 2 else ids[::-1], MINUTE))

    assert all(stores.column(one, "last_used_at") is not None for one in ids)


# What has had its time.


def purge(stores: Kept, what: Perished, limit: int = 100) -> int:
    return SqlPurge(stores.stores.database).purge(what, limit)


@pytest.mark.parametrize(
    ("what", "table", "values"),
    [
        (Perished.ATTEMPTS, link_attempt, {"state_hash": b"s", "provider_id": "idp1", "sealed": b""}),
        (Perished.SESSIONS, session, {"sealed": b""}),
        (Perished.NOTICES, logout_notice, {}),
    ],
    ids=["attempts", "sessions", "notices"],
)
def test_what_has_ended_is_removed_and_nothing_else(
    stores: Kept, what: Perished, table: Table, values: dict[str, object]
) -> None:
    for number, ends in enumerate([-2 * HOUR, HOUR]):
        row = {**values, "id": _key(table, number), "expires_at": from_now(ends)}
        row |= {"created_at": db_now()} if "created_at" in table.c else {}
        row |= {"state_hash": bytes([number])} if "state_hash" in table.c else {}
        with stores.stores.database.writing() as connection:
            connection.execute(insert(table).values(row))

    assert purge(stores, what) == 1
    assert (purge(stores, what), stores.count(table)) == (0, 1)


def test_logins_that_ended_are_removed(stores: Kept) -> None:
    user_id = stores.users.remember(ANN)
    for ends in (-MINUTE, MINUTE):
        row = {"id": uuid4(), "user_id": user_id, "created_at": db_now(), "seen_at": db_now()}
        with stores.stores.database.writing() as connection:
            connection.execute(insert(login).values(row | {"expires_at": from_now(ends)}))

    assert (purge(stores, Perished.LOGINS), stores.count(login)) == (1, 1)


def test_an_unlinked_link_is_removed_after_a_day_once_its_token_is_not_owed_any_more(stores: Kept) -> None:
    made = stores.link()
    [gone] = stores.links.unlink(ANN.identity, None, made.id, event())
    assert gone.debt is not None
    stores.advance(DAY + MINUTE)
    assert purge(stores, Perished.TOMBSTONES) == 0

    stores.stores.outbox.done(gone.debt.id)

    assert (purge(stores, Perished.TOMBSTONES), stores.count(link), stores.count(user_account)) == (1, 0, 1)
    assert stores.links.attach(new_link(), event()).id != made.id


def test_an_unlinked_link_is_not_removed_before_a_day(stores: Kept) -> None:
    made = stores.link()
    [gone] = stores.links.unlink(ANN.identity, None, made.id, event())
    assert gone.debt is not None
    stores.stores.outbox.done(gone.debt.id)
    assert purge(stores, Perished.TOMBSTONES) == 0


def test_what_is_owed_for_one_account_outlives_the_purge_and_the_linking_of_another(stores: Kept) -> None:
    made = stores.link()
    stores.links.unlink(ANN.identity, None, made.id, event())
    stores.advance(DAY + MINUTE)
    purge(stores, Perished.TOMBSTONES)
    with stores.stores.database.writing() as connection:
        # As where the whole user was removed by hand.
        connection.execute(update(outbox).values(link_id=None))
    stores.links.attach(new_link(who=account("another")), event())
    assert stores.count(outbox) == 1


def test_what_is_owed_for_a_grant_is_dropped_when_it_is_given_again_after_the_purge(stores: Kept) -> None:
    made = stores.link()
    stores.links.unlink(ANN.identity, None, made.id, event())
    stores.advance(DAY + MINUTE)
    purge(stores, Perished.TOMBSTONES)
    stores.link()
    assert stores.count(outbox) == 0


def test_a_link_that_came_back_to_life_is_not_removed(stores: Kept) -> None:
    made = stores.link()
    stores.links.unlink(ANN.identity, None, made.id, event())
    stores.advance(DAY + MINUTE)
    stores.link()

    assert purge(stores, Perished.TOMBSTONES) == 0


def test_the_refresh_token_of_a_broken_link_is_erased_after_a_day(stores: Kept) -> None:
    made, other = stores.link(), stores.link(BOB)
    stores.change(made.id, state="broken", last_error="invalid_grant", last_error_at=db_now())
    assert purge(stores, Perished.BROKEN) == 0

    stores.advance(DAY + MINUTE)

    assert (purge(stores, Perished.BROKEN), purge(stores, Perished.BROKEN)) == (1, 0)
    assert stores.column(made.id, "refresh_sealed") is None
    assert stores.column(made.id, "state") == "broken"
    assert stores.column(other.id, "refresh_sealed") is not None


def test_a_previous_refresh_token_is_erased_when_its_hope_has_ended(stores: Kept) -> None:
    made, other = stores.link(), stores.link(BOB)
    stores.change(made.id, prev_sealed=b"x", prev_until=from_now(-MINUTE))
    stores.change(other.id, prev_sealed=b"x", prev_until=from_now(MINUTE))

    assert purge(stores, Perished.PREVIOUS) == 1
    assert (stores.column(made.id, "prev_sealed"), stores.column(made.id, "prev_until")) == (None, None)
    assert stores.column(other.id, "prev_sealed") is not None


def test_access_tokens_are_removed_a_day_after_their_end_where_there_is_a_refresh_token(stores: Kept) -> None:
    stores.link()
    stores.link(BOB, refresh=None)
    assert purge(stores, Perished.ACCESS) == 0

    stores.advance(DAY + 2 * HOUR)

    assert (purge(stores, Perished.ACCESS), stores.count(access_token)) == (1, 1)


def test_an_access_token_without_an_end_is_kept(stores: Kept) -> None:
    stores.link(expires_in=None)
    stores.advance(100 * DAY)
    assert purge(stores, Perished.ACCESS) == 0


def test_no_more_is_removed_at_once_than_wanted(stores: Kept) -> None:
    for user in people(5):
        stores.link(user)
    stores.advance(2 * DAY)

    assert [purge(stores, Perished.ACCESS, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_several_who_purge_at_once_remove_each_thing_once(stores: Kept) -> None:
    for user in people(20):
        stores.link(user)
    stores.advance(2 * DAY)

    removed = in_parallel(4, lambda _: purge(stores, Perished.ACCESS))

    while more := purge(stores, Perished.ACCESS):
        removed.append(more)
    assert (sum(removed), stores.count(access_token)) == (20, 0)


def _key(table: Table, number: int) -> object:
    return {"session": str(number), "logout_notice": bytes([number])}.get(table.name, uuid4())

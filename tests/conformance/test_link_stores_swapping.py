"""What every LinkStore promises about linking an account in place of others, and where only one may be linked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from support.harness import ANN, Harness, SqlHarness, account, event, in_parallel, new_link, provider, tokens
from support.stores import sql_stores
from tokenstore.core.model import Asked, Link, LinkId, Provider, ProviderId
from tokenstore.core.ports import NewLink, OnlyOneAccount

IDP1 = ProviderId("idp1")
MINUTE = timedelta(minutes=1)
APART = provider(revokes_grant=False)
SINGLE = replace(APART, multi_account=False)


def one(subject: str, at: Provider = APART) -> NewLink:
    """A completed linking of this account."""
    return new_link(at=at, who=account(subject), received=tokens(f"access-{subject}", f"refresh-{subject}"))


def linked(stores: Harness, *subjects: str, at: Provider = APART) -> list[Link]:
    """These accounts, linked one after the other."""
    return [stores.links.attach(one(subject, at), event()) for subject in subjects]


def subjects(stores: Harness) -> list[str]:
    """What is linked, the default one first."""
    return [standing.link.account.subject for standing in stores.links.standings(ANN.identity)]


def owed(stores: Harness) -> set[str]:
    """The tokens that are to be revoked."""
    claimed = [stores.outbox.claim(row, MINUTE) for row in stores.owed()]
    return {one.token.reveal() for one in claimed if one is not None}


def test_the_new_link_takes_the_place_and_the_part_of_the_old_one(stores: Harness) -> None:
    first, _ = linked(stores, "a", "b")
    swapped = stores.links.swap(one("c"), [first.id], event())
    assert (swapped.link.is_default, subjects(stores)) == (True, ["c", "b"])
    assert [gone.link.id for gone in swapped.removed] == [first.id]
    assert owed(stores) == {"refresh-a"}


def test_a_link_that_is_not_the_default_is_replaced_without_a_new_default(stores: Harness) -> None:
    _, second = linked(stores, "a", "b")
    stores.links.swap(one("c"), [second.id], event())
    assert subjects(stores) == ["a", "c"]
    assert "link.default" not in [action for action, _, _ in stores.events()]


def test_every_change_has_its_event(stores: Harness) -> None:
    [old] = linked(stores, "a")
    link = stores.links.swap(one("b"), [old.id], event("link.created")).link
    assert sorted(stores.events()[1:], key=str) == sorted(
        [("link.removed", "idp1", old.id), ("link.created", "idp1", link.id), ("link.default", "idp1", link.id)],
        key=str,
    )


def test_an_account_does_not_replace_itself(stores: Harness) -> None:
    [old] = linked(stores, "a")
    swapped = stores.links.swap(one("a"), [old.id], event())
    assert (swapped.link.id, list(swapped.removed), subjects(stores)) == (old.id, [], ["a"])


def test_what_is_gone_already_is_not_in_the_way(stores: Harness) -> None:
    [old] = linked(stores, "a")
    stores.links.unlink(ANN.identity, None, old.id, event())
    assert list(stores.links.swap(one("b"), [old.id], event()).removed) == []
    assert subjects(stores) == ["b"]


def test_where_one_account_may_be_linked_all_others_are_replaced(stores: Harness) -> None:
    linked(stores, "a", "b")
    swapped = stores.links.swap(one("c", SINGLE), [], event())
    assert (len(swapped.removed), subjects(stores)) == (2, ["c"])
    assert owed(stores) == {"refresh-a", "refresh-b"}


def test_where_one_account_may_be_linked_a_second_is_not(stores: Harness) -> None:
    linked(stores, "a", at=SINGLE)
    with pytest.raises(OnlyOneAccount):
        linked(stores, "b", at=SINGLE)
    assert (subjects(stores), len(stores.events())) == (["a"], 1)
    linked(stores, "a", at=SINGLE)


def test_where_one_account_may_be_linked_one_of_many_at_once_is(stores: Harness) -> None:
    def link(number: int) -> LinkId | None:
        try:
            return linked(stores, f"s-{number}", at=SINGLE)[0].id
        except OnlyOneAccount:
            return None

    made = [link_id for link_id in in_parallel(8, link) if link_id is not None]
    assert [standing.link.id for standing in stores.links.standings(ANN.identity)] == made


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[SqlHarness]:
    """Stores in a database, which undoes what it does not finish."""
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    with sql_stores(url) as made:
        yield SqlHarness.over(made)


def test_a_failure_in_between_leaves_the_old_link_whole(database: SqlHarness) -> None:
    first, _ = linked(database, "a", "b")
    before = database.events()
    unstorable = replace(one("c"), tokens=tokens(extra={"what": object()}))
    with pytest.raises(TypeError):
        database.links.swap(unstorable, [first.id], event())

    assert (subjects(database), database.events(), list(database.owed())) == (["a", "b"], before, [])
    holding = database.links.read(ANN.identity, IDP1, None, Asked().variant)
    assert holding is not None
    assert holding.link == first
    assert holding.token is not None
    assert holding.token.value.reveal() == "access-a"
    assert database.links.take_lease(first, "anybody", MINUTE) is not None


def test_ids_of_outbox_rows_are_told(stores: Harness) -> None:
    [old] = linked(stores, "a")
    [gone] = stores.links.swap(one("b"), [old.id], event()).removed
    assert gone.debt is not None
    assert [gone.debt.id] == list(stores.owed())

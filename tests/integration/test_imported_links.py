"""Links that come from the reference, beside everything that may have happened here before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from support.harness import (
    ANN,
    BOB,
    HOUR,
    SqlHarness,
    account,
    break_link,
    event,
    in_parallel,
    new_link,
    provider,
    tokens,
)
from support.reference import fernet
from support.stores import sql_stores
from tokenstore.core.importing import Fate, ImportedLink
from tokenstore.core.model import AccessToken, Account, Asked, Identity, Lease, Link, LinkState, Profile
from tokenstore.core.ports import Perished
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.importing import SqlLinkImports
from tokenstore.store.purge import SqlPurge
from tokenstore.store.renaming import ProviderRenaming
from tokenstore.store.tables import audit_event, link, outbox, user_account

IDP1 = replace(provider(), scopes=("openid", "offline_access"))
SEALED_AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CID = Profile(Identity(ANN.identity.issuer, "cid"))


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlHarness]:
    with sql_stores(database_url) as made:
        yield SqlHarness.over(made)


@pytest.fixture
def imports(stores: SqlHarness) -> SqlLinkImports:
    return SqlLinkImports(stores.stores.database, stores.stores.vault)


def imported(token: str = "from-reference", after: timedelta = timedelta()) -> ImportedLink:
    return ImportedLink(
        ANN.identity, IDP1, Account(IDP1.effective_issuer, "ann"), Secret(token), SEALED_AT + after, SEALED_AT + 9 * DAY
    )


def put(imports: SqlLinkImports, new: ImportedLink) -> Fate:
    """What `put` does, which is what `judge` said it would do."""
    judged = imports.judge(new)
    assert imports.put(new, event("link.imported")) is judged
    return judged


def purged(stores: SqlHarness, *kinds: Perished) -> int:
    """Let what is owed be paid and two days pass; how many rows of these kinds the keeper removes then."""
    for row in stores.owed():
        stores.outbox.done(row)
    stores.advance(2 * DAY)
    purge = SqlPurge(stores.stores.database)
    return sum(purge.purge(kind, 10) for kind in kinds)


def only_link(stores: SqlHarness) -> Link:
    [standing] = stores.links.standings(ANN.identity)
    return standing.link


def leased(stores: SqlHarness) -> Lease:
    lease = stores.links.take_lease(only_link(stores), "a worker", timedelta(seconds=20))
    assert lease is not None
    return lease


def refreshed(stores: SqlHarness, refresh: str = "rotated") -> AccessToken | None:
    new = tokens("fresh", refresh)
    return stores.links.save_refreshed(leased(stores), IDP1, new, Asked(), timedelta(), event("token.refresh"))


def test_imported_link_is_an_active_default_without_access_token(stores: SqlHarness, imports: SqlLinkImports) -> None:
    assert put(imports, imported()) is Fate.IMPORTED

    [standing] = stores.links.standings(ANN.identity)
    assert not standing.has_access_token
    assert standing.link.state is LinkState.ACTIVE
    assert standing.link.is_default
    assert standing.link.account == Account("https://idp1.example", "ann")
    assert standing.link.linked_at == SEALED_AT
    assert standing.link.refresh_expires_at == SEALED_AT + 9 * DAY
    assert standing.link.scopes_granted == {"openid", "offline_access"}


def test_imported_refresh_token_is_what_a_refresh_spends(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())

    assert leased(stores).refresh_token == Secret("from-reference")


def test_importing_twice_leaves_one_link_and_one_event(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    before = only_link(stores)

    assert put(imports, imported()) is Fate.ALREADY_IMPORTED
    assert only_link(stores) == before
    assert [action for action, _, _ in stores.events()] == ["link.imported"]


def test_many_importers_at_once_make_one_link(stores: SqlHarness, imports: SqlLinkImports) -> None:
    fates = in_parallel(8, lambda _: imports.put(imported(), event("link.imported")))

    assert sorted(fates) == sorted([Fate.IMPORTED] + 7 * [Fate.ALREADY_IMPORTED])
    assert only_link(stores).version == 1


def test_newer_token_of_the_reference_replaces_an_unused_import(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    before = only_link(stores)

    assert put(imports, imported("newer", DAY)) is Fate.RENEWED
    assert put(imports, imported("older", -DAY)) is Fate.ALREADY_IMPORTED
    assert (only_link(stores).id, only_link(stores).version) == (before.id, before.version + 1)
    assert leased(stores).refresh_token == Secret("newer")


def test_newer_token_heals_an_import_that_broke(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    assert break_link(stores.links, leased(stores), event("link.broken"))

    assert put(imports, imported("newer", DAY)) is Fate.RENEWED
    assert (only_link(stores).state, only_link(stores).last_error) == (LinkState.ACTIVE, None)


def test_link_refreshed_here_is_not_replaced(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    refreshed(stores)

    assert put(imports, imported("newer", 900 * DAY)) is Fate.LINKED_SINCE
    assert leased(stores).refresh_token == Secret("rotated")


def test_link_that_a_person_made_here_is_not_replaced(stores: SqlHarness, imports: SqlLinkImports) -> None:
    stores.links.attach(new_link(at=IDP1, who=account("ann")), event("link.created"))

    assert put(imports, imported("newer", 900 * DAY)) is Fate.LINKED_SINCE
    assert leased(stores).refresh_token == Secret("refresh-1")


@pytest.mark.parametrize("was_imported", [True, False])
def test_link_that_a_person_made_here_is_not_replaced_when_its_access_token_was_purged(
    stores: SqlHarness, imports: SqlLinkImports, was_imported: bool
) -> None:
    if was_imported:
        put(imports, imported())
    stores.links.attach(new_link(at=IDP1, who=account("ann")), event("link.created"))
    assert purged(stores, Perished.ACCESS) == 1

    assert put(imports, imported("newer", 900 * DAY)) is Fate.LINKED_SINCE
    assert leased(stores).refresh_token == Secret("refresh-1")


def test_unlinked_account_does_not_come_back(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    stores.links.unlink(ANN.identity, IDP1.id, None, event("link.removed"))

    assert put(imports, imported("newer", 900 * DAY)) is Fate.UNLINKED_SINCE
    assert stores.links.standings(ANN.identity) == []


@pytest.mark.parametrize("after", [timedelta(), 900 * DAY], ids=["sealed before", "sealed after"])
def test_unlinked_account_does_not_come_back_when_its_row_was_purged(
    stores: SqlHarness, imports: SqlLinkImports, after: timedelta
) -> None:
    put(imports, imported())
    stores.links.unlink(ANN.identity, IDP1.id, None, event("link.removed"))
    assert purged(stores, Perished.TOMBSTONES) == 1

    assert put(imports, imported(after=after)) is Fate.UNLINKED_SINCE
    assert stores.links.standings(ANN.identity) == []


def test_what_others_unlinked_and_where_else_does_not_count(stores: SqlHarness, imports: SqlLinkImports) -> None:
    for who, at in ((BOB, IDP1), (ANN, provider("idp2"))):
        stores.links.attach(new_link(who, at), replace(event("link.created"), user=who.identity))
        stores.links.unlink(who.identity, at.id, None, replace(event("link.removed"), user=who.identity))
    assert purged(stores, Perished.TOMBSTONES) == 2

    assert put(imports, imported()) is Fate.IMPORTED


def test_what_happened_before_the_provider_got_its_id_counts(stores: SqlHarness, imports: SqlLinkImports) -> None:
    former, between = provider("former"), provider("between")
    stores.links.attach(new_link(BOB, former, account("bob", former.id)), event("link.created"))
    stores.links.attach(new_link(at=former, who=account("ann", IDP1.id)), event("link.created"))
    stores.links.attach(new_link(CID, former, account("cid", IDP1.id)), event("link.created"))
    stores.links.unlink(CID.identity, former.id, None, replace(event("link.removed"), user=CID.identity))
    assert purged(stores, Perished.ACCESS, Perished.TOMBSTONES) == 3
    for old, new in ((former, between), (between, IDP1)):
        list(ProviderRenaming(stores.stores.database, stores.stores.vault, old.id, new.id).run(dry_run=False))

    assert put(imports, imported("newer", 900 * DAY)) is Fate.LINKED_SINCE
    assert put(imports, replace(imported(), user=CID.identity)) is Fate.UNLINKED_SINCE


def test_linking_again_updates_the_imported_row(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    before = only_link(stores)

    stores.links.attach(new_link(at=IDP1, who=account("ann")), event())

    after = only_link(stores)
    assert (after.id, after.account.name) == (before.id, "Ann A.")
    assert leased(stores).refresh_token == Secret("refresh-1")


def test_refresh_under_way_during_a_renewal_misses_the_fence(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    lease = leased(stores)

    put(imports, imported("newer", DAY))

    assert stores.links.save_refreshed(lease, IDP1, tokens(), Asked(), timedelta(), event("token.refresh")) is None


def test_import_beside_another_account_is_not_the_default(stores: SqlHarness, imports: SqlLinkImports) -> None:
    stores.links.attach(new_link(at=IDP1), event())

    assert put(imports, imported()) is Fate.IMPORTED
    assert [one.link.account.subject for one in stores.links.standings(ANN.identity) if one.link.is_default] == [
        "ann-at-idp"
    ]


def test_import_keeps_what_is_known_of_the_user(stores: SqlHarness, imports: SqlLinkImports) -> None:
    stores.users.remember(ANN)

    put(imports, imported())

    assert stores.users.profile(ANN.identity) == ANN


def test_judging_changes_nothing(stores: SqlHarness, imports: SqlLinkImports) -> None:
    assert imports.judge(imported()) is Fate.IMPORTED

    with stores.stores.database.reading() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in (link, user_account, audit_event, outbox)
        ]
    assert counts == [0, 0, 0, 0]


def test_value_planted_as_the_reference_seals_it_opens_nowhere(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())
    with stores.stores.database.writing() as connection:
        connection.execute(update(link).values(refresh_sealed=fernet("planted")))

    with pytest.raises(KeyUnavailable):
        leased(stores)


def test_first_refresh_after_an_import_brings_an_access_token(stores: SqlHarness, imports: SqlLinkImports) -> None:
    put(imports, imported())

    token = refreshed(stores)

    assert token is not None
    assert token.left(token.issued_at) == HOUR

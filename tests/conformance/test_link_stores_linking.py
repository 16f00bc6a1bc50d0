"""What every LinkStore promises about reading, linking and unlinking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.harness import (
    ANN,
    BOB,
    HOUR,
    Harness,
    account,
    break_link,
    event,
    in_parallel,
    new_link,
    provider,
    tokens,
    unknown_link,
)
from tokenstore.core.model import Asked, Cached, Holding, Identity, LinkId, LinkState, Profile, ProviderId
from tokenstore.core.ports import NewLink
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, ProviderUnavailable

IDP1 = ProviderId("idp1")
PLAIN = Asked().variant
MINUTE = timedelta(minutes=1)
LAPSE = timedelta(seconds=5)
CAT = Profile(Identity("https://login.example", "cat"), "Cat")
DAN = Profile(Identity("https://login.example", "dan"), "Dan")


def read(stores: Harness, user: Profile = ANN, link_id: LinkId | None = None) -> Holding | None:
    return stores.links.read(user.identity, IDP1, link_id, PLAIN)


def held(stores: Harness, user: Profile = ANN, link_id: LinkId | None = None) -> Holding:
    holding = read(stores, user, link_id)
    assert holding is not None
    return holding


def owed_tokens(stores: Harness) -> list[str]:
    rows = [stores.outbox.claim(row, MINUTE) for row in stores.owed()]
    return sorted(row.token.reveal() for row in rows if row is not None)


def test_a_token_that_cannot_be_opened_is_not_read(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.spoil(link.id)
    with pytest.raises(KeyUnavailable):
        read(stores)


def test_an_attached_link_is_read_with_its_token(stores: Harness) -> None:
    received = tokens(scopes=frozenset({"openid"}), refresh_expires_in=24 * HOUR)
    link = stores.links.attach(new_link(received=received), event())
    holding = held(stores)
    assert holding.link == link
    assert (link.state, link.version, link.is_default, link.has_refresh_token) == (LinkState.ACTIVE, 1, True, True)
    assert (link.account, link.client_id, link.label) == (account(), "client-1", None)
    assert (link.scopes_requested, link.scopes_granted) == (frozenset({"openid", "email"}), frozenset({"openid"}))
    assert link.refresh_expires_at is not None
    assert abs(link.refresh_expires_at - holding.now - 24 * HOUR) < LAPSE
    assert holding.token is not None
    assert (holding.token.value, holding.token.scopes, holding.token.extra) == (
        Secret("access-1"),
        frozenset({"openid"}),
        {},
    )


def test_expiry_counts_from_sending_the_request(stores: Harness) -> None:
    stores.links.attach(new_link(elapsed=timedelta(minutes=10)), event())
    holding = held(stores)
    assert holding.token is not None
    assert holding.token.expires_at is not None
    assert abs(holding.token.expires_at - holding.now - timedelta(minutes=50)) < LAPSE
    assert holding.token.lifetime is not None
    assert abs(holding.token.lifetime - HOUR) < timedelta(seconds=1)


def test_a_token_without_expiry_and_with_kept_fields_comes_back_whole(stores: Harness) -> None:
    extra: dict[str, object] = {"patient": "7", "list": [1, None, {"a": "ü"}]}
    stores.links.attach(new_link(received=tokens("=[odd", expires_in=None, extra=extra)), event())
    token = held(stores).token
    assert token is not None
    assert (token.value, token.expires_at, token.extra) == (Secret("=[odd"), None, extra)


def test_a_variant_that_was_never_fetched_has_no_token(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    variant = Asked(audience="https://api.example").variant
    holding = stores.links.read(ANN.identity, IDP1, None, variant)
    assert holding is not None
    assert holding.token is None


def test_nothing_is_read_for_others(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.links.attach(new_link(BOB, provider("idp2")), event())
    assert read(stores, BOB) is None
    assert read(stores, BOB, link.id) is None
    assert stores.links.read(ANN.identity, ProviderId("idp2"), link.id, PLAIN) is None
    assert read(stores, ANN, unknown_link()) is None


def test_a_disabled_user_has_no_links(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.disable(ANN.identity)
    assert read(stores) is None
    assert read(stores, link_id=link.id) is None
    assert stores.links.standings(ANN.identity) == []
    assert stores.links.unlink(ANN.identity, IDP1, None, event()) == []


def test_linking_remembers_the_user(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    assert stores.users.profile(ANN.identity) == ANN


def test_linking_leaves_a_known_user_as_they_are(stores: Harness) -> None:
    stores.users.remember(ANN)
    stores.links.attach(new_link(Profile(ANN.identity, "Somebody")), event())
    assert stores.users.profile(ANN.identity) == ANN


def test_a_second_account_is_another_link_and_not_the_default(stores: Harness) -> None:
    first = stores.links.attach(new_link(), event())
    second = stores.links.attach(new_link(who=account("second"), received=tokens("access-2")), event())
    assert first.id != second.id
    assert (first.is_default, second.is_default) == (True, False)
    assert held(stores).link.id == first.id
    assert held(stores, link_id=second.id).link == second


def test_two_users_may_link_the_same_account(stores: Harness) -> None:
    of_ann = stores.links.attach(new_link(), event())
    of_bob = stores.links.attach(new_link(BOB), event())
    assert of_ann.id != of_bob.id
    assert of_bob.is_default


def test_an_account_that_another_user_has_linked_is_audited_at_both(stores: Harness) -> None:
    of_ann = stores.links.attach(new_link(), event("link.created"))
    of_bob = stores.links.attach(new_link(BOB), event("link.created"))
    shared = {link for action, _, link in stores.events() if action == "link.shared"}
    assert shared == {of_ann.id, of_bob.id}


def test_linking_a_shared_account_again_is_not_audited_as_shared_again(stores: Harness) -> None:
    for user in (ANN, BOB, BOB):
        stores.links.attach(new_link(user), event("link.created"))
    assert [action for action, _, _ in stores.events()].count("link.shared") == 2


def test_an_account_that_another_user_has_unlinked_is_not_shared(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.attach(new_link(BOB), event())
    assert "link.shared" not in [action for action, _, _ in stores.events()]


def test_names_that_a_database_cannot_hold_are_mended(stores: Harness) -> None:
    odd = replace(account(), name="a\x00b\ud800", email="x\x00@idp.example")
    link = stores.links.attach(new_link(replace(ANN, name="A\x00"), who=odd), event())
    assert held(stores).link == link


def test_standings_list_defaults_first_then_by_age(stores: Harness) -> None:
    expected = []
    for provider_id, subject in [("idp1", "a"), ("idp1", "b"), ("idp1", "c"), ("idp2", "d")]:
        who = account(subject, provider_id)
        expected.append(stores.links.attach(new_link(at=provider(provider_id), who=who), event()).id)
        stores.advance(timedelta(seconds=1))
    standings = stores.links.standings(ANN.identity)
    assert [standing.link.id for standing in standings] == expected
    assert all(standing.has_access_token and standing.access_expires_at for standing in standings)


def test_linking_writes_its_event_with_the_link(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event("link.created"))
    assert stores.events() == [("link.created", "idp1", link.id)]


def test_concurrent_linkings_of_one_account_end_with_one_row(stores: Harness) -> None:
    links = in_parallel(10, lambda number: stores.links.attach(new_link(received=tokens(f"a-{number}")), event()))
    assert len({link.id for link in links}) == 1
    assert sorted(link.version for link in links) == list(range(1, 11))
    assert len(stores.links.standings(ANN.identity)) == 1


def test_concurrent_linkings_of_several_accounts_end_with_one_default(stores: Harness) -> None:
    in_parallel(10, lambda number: stores.links.attach(new_link(who=account(f"s-{number}")), event()))
    standings = stores.links.standings(ANN.identity)
    assert [standing.link.is_default for standing in standings] == [True] + [False] * 9


def relinking(refresh: str | None = "refresh-2", **changes: object) -> NewLink:
    again = new_link(received=tokens("access-2", refresh))
    return replace(again, **changes)  # type: ignore[arg-type]  # fields of NewLink, by name


def test_linking_again_updates_the_row(stores: Harness) -> None:
    first = stores.links.attach(new_link(), event())
    renamed = replace(account(), name="Ann B.")
    again = stores.links.attach(relinking(account=renamed, scopes_requested=frozenset({"openid"})), event())
    assert (again.id, again.version, again.account, again.is_default) == (first.id, 2, renamed, True)
    assert again.scopes_requested == again.scopes_granted == frozenset({"openid"})
    assert again.linked_at == first.linked_at
    lease = stores.links.take_lease(again, "node", MINUTE)
    assert lease is not None
    assert lease.refresh_token == Secret("refresh-2")


def test_linking_again_drops_cached_variants(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    asked = Asked(audience="https://api.example")
    lease = stores.links.take_lease(link, "node", MINUTE)
    assert lease is not None
    stores.links.save_refreshed(lease, provider(), tokens("variant", None), asked, timedelta(), event())
    stores.links.attach(relinking(), event())
    holding = stores.links.read(ANN.identity, IDP1, None, asked.variant)
    assert holding is not None
    assert holding.token is None


def test_linking_again_heals_a_broken_link_and_ends_its_lease(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    lease = stores.links.take_lease(link, "node", MINUTE)
    assert lease is not None
    break_link(stores.links, lease, event())
    again = stores.links.attach(relinking(), event())
    assert (again.state, again.last_error, again.lease_until) == (LinkState.ACTIVE, None, None)
    assert stores.links.take_lease(again, "node", MINUTE) is not None


def test_linking_again_keeps_a_working_refresh_token_when_none_is_returned(stores: Harness) -> None:
    stores.links.attach(new_link(received=tokens(refresh_expires_in=HOUR)), event())
    again = stores.links.attach(relinking(None), event())
    assert again.has_refresh_token
    assert again.refresh_expires_at is not None


def test_a_refresh_under_way_goes_on_when_linking_again_brings_no_refresh_token(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    lease = stores.links.take_lease(link, "node", MINUTE)
    assert lease is not None
    again = stores.links.attach(relinking(None), event())
    assert (again.version, again.lease_until) == (link.version, lease.link.lease_until)
    assert stores.links.take_lease(again, "node-2", MINUTE) is None
    received = tokens("access-3", "refresh-3")
    assert stores.links.save_refreshed(lease, provider(), received, Asked(), timedelta(), event()) is not None


def test_linking_again_does_not_keep_a_refused_refresh_token(stores: Harness) -> None:
    link = stores.links.attach(new_link(received=tokens(refresh_expires_in=HOUR)), event())
    lease = stores.links.take_lease(link, "node", MINUTE)
    assert lease is not None
    break_link(stores.links, lease, event())
    again = stores.links.attach(relinking(None), event())
    assert not again.has_refresh_token
    assert again.refresh_expires_at is None


def test_linking_again_with_another_client_uses_it(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    again = stores.links.attach(relinking(provider=provider(client_id="client-2")), event())
    assert again.client_id == "client-2"
    lease = stores.links.take_lease(again, "node", MINUTE)
    assert lease is not None
    assert lease.refresh_token == Secret("refresh-2")
    assert held(stores).token is not None


def test_the_replaced_token_is_not_revoked_where_that_ends_the_grant(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    stores.links.attach(relinking(), event())
    assert stores.owed() == []


def test_the_replaced_token_is_revoked_where_that_ends_it_alone(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    stores.links.attach(relinking(provider=at), event())
    assert owed_tokens(stores) == ["refresh-1"]


@pytest.mark.parametrize(("revokes_grant", "owed"), [(False, ["access-1"]), (True, [])])
def test_a_replaced_access_token_is_to_be_revoked_where_there_is_no_refresh_token(
    stores: Harness, revokes_grant: bool, owed: list[str]
) -> None:
    at = provider(revokes_grant=revokes_grant)
    stores.links.attach(new_link(at=at, received=tokens("access-1", None)), event())
    stores.links.attach(new_link(at=at, received=tokens("access-2", None)), event())
    assert owed_tokens(stores) == owed


def test_the_same_token_again_is_not_revoked(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    stores.links.attach(relinking("refresh-1", provider=at), event())
    assert stores.owed() == []


def test_linking_again_drops_revocations_that_would_end_the_new_grant(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.attach(relinking(), event())
    assert stores.owed() == []


def test_no_link_is_made_of_a_grant_that_is_just_being_revoked(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert gone.debt is not None
    stores.outbox.claim(gone.debt.id, MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(relinking(), event())
    assert read(stores) is None
    stores.advance(2 * MINUTE)
    assert owed_tokens(stores) == ["refresh-1"]


def test_no_link_is_made_while_what_a_failed_linking_left_is_being_revoked(stores: Harness) -> None:
    stores.users.remember(ANN)
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("stray"))
    assert row is not None
    stores.outbox.claim(row, MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(), event())
    stores.advance(2 * MINUTE)
    assert owed_tokens(stores) == ["stray"]


@pytest.mark.parametrize("who", [ANN, BOB], ids=lambda who: who.name)
def test_no_link_is_made_of_a_grant_that_came_before_the_account_was_unlinked(stores: Harness, who: Profile) -> None:
    stores.links.attach(new_link(who), event())
    stores.links.unlink(who.identity, IDP1, None, event())
    for row in stores.owed():
        stores.outbox.done(row)
    stores.advance(MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(elapsed=2 * MINUTE), event())
    assert read(stores) is None
    assert stores.links.attach(new_link(elapsed=LAPSE), event()).state is LinkState.ACTIVE


def test_no_link_is_made_of_a_grant_that_came_before_a_late_answer_was_to_be_revoked(stores: Harness) -> None:
    old = stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.advance(2 * MINUTE)
    row = stores.links.settle_superseded(old, provider(), tokens("late", "refresh-late"))
    assert row is not None
    stores.outbox.done(row)
    stores.advance(LAPSE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(elapsed=MINUTE), event())
    assert stores.links.attach(new_link(), event()).state is LinkState.ACTIVE


def test_a_link_made_again_takes_no_tokens_that_were_asked_for_before(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    stores.advance(2 * MINUTE)
    stores.links.unlink(ANN.identity, IDP1, None, event("link.removed"))
    stores.advance(MINUTE)
    again = stores.links.attach(relinking("refresh-3"), event())
    stores.advance(MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(elapsed=3 * MINUTE), event())
    lease = stores.links.take_lease(again, "node", MINUTE)
    assert lease is not None
    assert lease.refresh_token == Secret("refresh-3")


@pytest.mark.parametrize("made_again", [False, True])
def test_a_link_takes_tokens_that_were_asked_for_since_it_was_made(stores: Harness, *, made_again: bool) -> None:
    stores.links.attach(new_link(), event())
    if made_again:
        stores.links.unlink(ANN.identity, IDP1, None, event("link.removed"))
        stores.links.attach(new_link(), event())
    stores.advance(3 * MINUTE)
    linked = stores.links.attach(new_link(elapsed=2 * MINUTE), event())
    assert linked.version == (4 if made_again else 2)


def test_a_link_takes_tokens_that_were_asked_for_before_it_was_first_made(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    assert stores.links.attach(new_link(elapsed=MINUTE), event()).version == 2


def test_a_link_made_again_takes_any_tokens_where_revoking_ends_one(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    stores.links.unlink(ANN.identity, IDP1, None, event("link.removed"))
    stores.links.attach(new_link(at=at), event())
    assert stores.links.attach(new_link(at=at, elapsed=MINUTE), event()).version == 4


def test_unlinking_ends_no_grant_of_another_client_account_or_kind(stores: Harness) -> None:
    stores.links.attach(new_link(BOB), event())
    stores.links.unlink(BOB.identity, IDP1, None, event())
    stores.advance(MINUTE)
    other, apart = provider(client_id="client-2"), provider(revokes_grant=False)
    stores.links.attach(new_link(elapsed=2 * MINUTE, who=account("second")), event())
    stores.links.attach(new_link(CAT, elapsed=2 * MINUTE, at=apart), event())
    stores.links.unlink(CAT.identity, IDP1, None, event())
    stores.links.attach(new_link(DAN, elapsed=2 * MINUTE, at=other), event())


def test_no_link_is_made_while_a_token_of_anothers_link_to_the_account_is_being_revoked(stores: Harness) -> None:
    stores.links.attach(new_link(BOB), event())
    (gone,) = stores.links.unlink(BOB.identity, IDP1, None, event())
    assert gone.debt is not None
    stores.outbox.claim(gone.debt.id, MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(), event())
    stores.links.attach(new_link(who=account("second")), event())
    stores.advance(2 * MINUTE)
    assert stores.links.attach(new_link(), event()).state is LinkState.ACTIVE
    assert owed_tokens(stores) == ["refresh-1"]


def test_a_link_that_is_there_takes_new_tokens_whatever_is_being_revoked(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    other = account("another")
    row = stores.outbox.queue_revocation(provider(), ANN.identity, Secret("stray"), other)
    assert row is not None
    stores.outbox.claim(row, MINUTE)
    assert stores.links.attach(relinking(), event()).version == 2


def test_what_ends_one_token_may_be_revoked_while_the_account_is_linked(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert gone.debt is not None
    stores.outbox.claim(gone.debt.id, MINUTE)
    assert stores.links.attach(relinking(provider=at), event()).state is LinkState.ACTIVE


def test_linking_drops_what_failed_linkings_left_to_be_revoked(stores: Harness) -> None:
    stores.users.remember(ANN)
    stores.users.remember(BOB)
    for user in (ANN, BOB):
        stores.outbox.queue_revocation(provider(), user.identity, Secret(f"of {user.name}"))
        stores.outbox.queue_revocation(provider(client_id="client-0"), user.identity, Secret(f"{user.name}, client 0"))
    stores.links.attach(new_link(), event())
    assert owed_tokens(stores) == ["Ann, client 0", "Bob, client 0", "of Bob"]


def test_linking_keeps_what_failed_linkings_left_where_that_ends_one_token(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.users.remember(ANN)
    stores.outbox.queue_revocation(at, ANN.identity, Secret("stray"))
    stores.links.attach(new_link(at=at), event())
    assert owed_tokens(stores) == ["stray"]


def test_a_token_that_is_received_again_is_not_revoked_any_more(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.users.remember(ANN)
    stores.outbox.queue_revocation(at, ANN.identity, Secret("refresh-2"))
    stores.outbox.queue_revocation(at, ANN.identity, Secret("refresh-3"))
    stores.links.attach(new_link(at=at), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.attach(new_link(at=at), event())
    assert owed_tokens(stores) == ["refresh-2", "refresh-3"]
    stores.advance(2 * MINUTE)
    stores.links.attach(relinking(provider=at), event())
    assert owed_tokens(stores) == ["refresh-1", "refresh-3"]


def test_no_link_is_made_of_a_token_that_is_just_being_revoked(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert gone.debt is not None
    stores.outbox.claim(gone.debt.id, MINUTE)
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(new_link(at=at), event())
    stores.advance(2 * MINUTE)
    assert owed_tokens(stores) == ["refresh-1"]


def test_linking_again_keeps_revocations_that_end_one_token(stores: Harness) -> None:
    at = provider(revokes_grant=False)
    stores.links.attach(new_link(at=at), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.links.attach(relinking(provider=at), event())
    assert owed_tokens(stores) == ["refresh-1"]


def test_an_unlinked_link_is_gone_and_its_refresh_token_owed(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    (gone,) = stores.links.unlink(ANN.identity, None, link.id, event("link.deleted"))
    assert (gone.link.id, gone.link.state, gone.link.version) == (link.id, LinkState.REVOKED, 2)
    assert read(stores) is None
    assert read(stores, link_id=link.id) is None
    assert stores.links.standings(ANN.identity) == []
    assert gone.debt is not None
    assert ([gone.debt.id], gone.debt.provider_id, gone.lost) == (stores.owed(), "idp1", False)
    assert owed_tokens(stores) == ["refresh-1"]
    assert ("link.deleted", "idp1", link.id) in stores.events()


def test_without_refresh_token_the_living_access_token_is_owed(stores: Harness) -> None:
    stores.links.attach(new_link(received=tokens(refresh=None, expires_in=None)), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert owed_tokens(stores) == ["access-1"]


def test_an_expired_access_token_is_not_owed(stores: Harness) -> None:
    stores.links.attach(new_link(received=tokens(refresh=None)), event())
    stores.advance(2 * HOUR)
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert (gone.debt, gone.lost) == (None, False)
    assert stores.owed() == []


def test_a_link_that_cannot_be_opened_is_unlinked_all_the_same(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.spoil(link.id)
    (gone,) = stores.links.unlink(ANN.identity, IDP1, None, event())
    assert (gone.debt, gone.lost) == (None, True)
    assert read(stores) is None


def test_nobody_unlinks_the_links_of_others(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.users.remember(BOB)
    assert stores.links.unlink(BOB.identity, IDP1, link.id, event()) == []
    assert stores.links.unlink(ANN.identity, ProviderId("idp2"), link.id, event()) == []
    assert held(stores).link == link


def test_unlinking_twice_does_nothing_more(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    done = in_parallel(5, lambda _: stores.links.unlink(ANN.identity, None, link.id, event()))
    assert sorted(len(links) for links in done) == [0, 0, 0, 0, 1]
    assert len(stores.owed()) == 1


def test_unlinking_a_provider_takes_all_links_there_and_no_others(stores: Harness) -> None:
    stores.links.attach(new_link(), event())
    stores.links.attach(new_link(who=account("second")), event())
    other = stores.links.attach(new_link(at=provider("idp2")), event())
    assert len(stores.links.unlink(ANN.identity, IDP1, None, event())) == 2
    assert [standing.link.id for standing in stores.links.standings(ANN.identity)] == [other.id]


def test_unlinking_needs_to_know_what(stores: Harness) -> None:
    with pytest.raises(ValueError, match="provider or a link"):
        stores.links.unlink(ANN.identity, None, None, event())


def test_the_default_passes_to_the_oldest_link_left(stores: Harness) -> None:
    links = []
    for subject in "abc":
        links.append(stores.links.attach(new_link(who=account(subject)), event()))
        stores.advance(timedelta(seconds=1))
    stores.links.unlink(ANN.identity, None, links[0].id, event())
    assert [standing.link.is_default for standing in stores.links.standings(ANN.identity)] == [True, False]
    assert held(stores).link.id == links[1].id


def test_unlinking_another_link_leaves_the_default(stores: Harness) -> None:
    first = stores.links.attach(new_link(), event())
    second = stores.links.attach(new_link(who=account("second")), event())
    stores.links.unlink(ANN.identity, None, second.id, event())
    assert held(stores).link == first


def test_linking_an_unlinked_account_revives_its_row(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.links.unlink(ANN.identity, IDP1, None, event())
    stores.advance(timedelta(seconds=1))
    again = stores.links.attach(relinking(), event())
    assert (again.id, again.version, again.state, again.is_default) == (link.id, 3, LinkState.ACTIVE, True)
    assert held(stores).link == again


def test_the_token_alone_is_what_is_read_with_its_link(stores: Harness) -> None:
    link = stores.links.attach(new_link(received=tokens(extra={"patient": "7"})), event())
    other = stores.links.attach(new_link(who=account("other")), event())
    for link_id in (None, link.id, other.id):
        cached = stores.links.cached(ANN.identity, IDP1, link_id, PLAIN)
        whole = held(stores, link_id=link_id)
        assert cached is not None
        assert (cached.link_id, cached.provider_id, cached.token) == (whole.link.id, IDP1, whole.token)
        assert abs(cached.now - whole.now) < LAPSE


def test_where_no_link_or_no_token_is_read_there_is_no_token_alone(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())

    def cached(user: Profile = ANN, link_id: LinkId | None = None, variant: str = PLAIN) -> Cached | None:
        return stores.links.cached(user.identity, IDP1, link_id, variant)

    assert cached()
    assert cached(variant=Asked(audience="https://api.example").variant) is None
    assert cached(BOB, link.id) is None
    assert cached(link_id=unknown_link()) is None
    stores.links.unlink(ANN.identity, IDP1, None, event())
    assert cached() is None
    stores.links.attach(new_link(), event())
    stores.disable(ANN.identity)
    assert cached() is None


def test_a_token_alone_that_cannot_be_opened_is_not_read(stores: Harness) -> None:
    link = stores.links.attach(new_link(), event())
    stores.spoil(link.id)
    with pytest.raises(KeyUnavailable):
        stores.links.cached(ANN.identity, IDP1, None, PLAIN)

"""Refreshes at providers with habits: other accounts, kept fields, no refresh at all, and what is learned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.core_world import World
from support.fake_provider import granted
from support.harness import provider
from tokenstore.core.lessons import GRACE, Fact
from tokenstore.core.model import ACCOUNT_CHANGED, Asked, Granted, Link, LinkState, Refused, Rotation, RotationKind
from tokenstore.core.refresh import obstacle
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import check_asked
from tokenstore.errors import ReauthorizationRequired, ScopeNotGranted

KEEP_OLD = Rotation(RotationKind.KEEP_OLD)


def bring(world: World, link: Link) -> str:
    return world.refresher.bring(world.errand(link)).value.reveal()


def expired(world: World) -> Link:
    return world.link(seconds=3600, age=4000)


def test_the_linked_account_goes_along_to_be_compared() -> None:
    world = World()
    link = expired(world)
    world.client.refreshes = [granted("new")]
    bring(world, link)
    assert world.client.refresh_calls[0].account == link.account


def test_tokens_of_another_account_break_the_link_and_are_audited() -> None:
    world = World()
    link = expired(world)
    world.client.refreshes = [Refused(ACCOUNT_CHANGED)]
    with pytest.raises(ReauthorizationRequired):
        bring(world, link)
    row = world.row(link).link
    assert (row.state, row.last_error) == (LinkState.BROKEN, ACCOUNT_CHANGED)
    last = world.stores.database.events[-1]
    assert (last.action, last.reason) == ("link.broken", ACCOUNT_CHANGED)


def test_after_tokens_of_another_account_the_previous_refresh_token_is_not_tried() -> None:
    world = World(replace(provider(), rotation=KEEP_OLD))
    link = expired(world)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now.replace(year=2100)
    world.client.refreshes = [Refused(ACCOUNT_CHANGED)]
    with pytest.raises(ReauthorizationRequired):
        bring(world, link)
    assert len(world.client.refresh_calls) == 1


def test_a_previous_refresh_token_that_works_shows_a_grace() -> None:
    world = World(replace(provider(), rotation=KEEP_OLD))
    link = expired(world)
    row = world.row(link)
    row.previous_token, row.previous_until = Secret("refresh-0"), world.now.replace(year=2100)
    world.client.refreshes = [Refused("invalid_grant"), granted("new", refresh="refresh-2")]
    assert bring(world, link) == "new"
    assert (world.provider.id, GRACE) in world.stores.database.facts


def test_a_refresh_teaches_how_the_provider_rotates() -> None:
    world = World()
    link = expired(world)
    world.client.refreshes = [granted("new", refresh="refresh-2")]
    bring(world, link)
    facts = world.stores.database.facts
    assert (world.provider.id, Fact("rotates", "yes")) in facts
    assert (world.provider.id, GRACE) not in facts


def test_kept_fields_that_a_refresh_does_not_repeat_stay_and_others_go() -> None:
    world = World(replace(provider(), keep_fields=("instance_url", "team"), keep_callback_fields=("realmId",)))
    link = expired(world)
    row, plain = world.row(link), Asked().variant
    kept = {"instance_url": "https://old.example", "realmId": "r-1", "login": "ada"}
    row.tokens[plain] = replace(row.tokens[plain], extra=kept)
    answer = granted("new")
    assert isinstance(answer, Granted)
    world.client.refreshes = [Granted(replace(answer.tokens, extra={"instance_url": "https://new.example"}))]
    brought = world.refresher.bring(world.errand(link))
    assert brought.extra == {"instance_url": "https://new.example", "realmId": "r-1"}


def test_where_nothing_is_refreshed_the_present_token_is_handed_out_until_its_end() -> None:
    world = World(replace(provider(), refreshes=False))
    link = world.link(seconds=3600, age=3000)
    holding = world.holding(link)
    assert isinstance(obstacle(world.provider, holding), ReauthorizationRequired)


def test_a_token_for_a_further_resource_server_may_be_asked_for_by_name() -> None:
    world = World(replace(provider(), extra_tokens_path="other_tokens"))
    holding = world.holding(world.link())
    check_asked(world.provider, holding, Asked(audience="transfer.api.globus.org"))
    with pytest.raises(ScopeNotGranted):
        check_asked(world.provider, holding, Asked(resources=("https://transfer.example",)))

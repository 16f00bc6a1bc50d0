"""Naming links and choosing the default one: what is allowed, and what the audit says."""

from __future__ import annotations

from uuid import uuid4

import pytest

from support.core_world import CALLER, World
from tokenstore.core.choices import LABEL_MOST, ChoiceService
from tokenstore.core.model import Chosen, LinkId
from tokenstore.core.policy import Policy
from tokenstore.errors import InvalidRequest, NotFound, PolicyDenied


def service(world: World, scope: str | None = None) -> ChoiceService:
    return ChoiceService(Policy(scope), world.stores.links)


def test_a_name_is_kept_without_the_spaces_around_it() -> None:
    world = World()
    link = world.link()
    assert service(world).choose(CALLER, link.id, Chosen("  My work ")).label == "My work"
    assert service(world).choose(CALLER, link.id, Chosen("   ")).label is None
    assert world.actions()[-2:] == ["link.named", "link.named"]


@pytest.mark.parametrize("label", ["x" * (LABEL_MOST + 1), "two\nlines", "\u202eback"])
def test_a_name_that_is_too_long_or_not_printable_is_refused(label: str) -> None:
    world = World()
    link = world.link()
    with pytest.raises(InvalidRequest) as refused:
        service(world).choose(CALLER, link.id, Chosen(label))
    assert [problem.pointer for problem in refused.value.errors] == ["label"]


def test_the_default_is_chosen_and_audited() -> None:
    world = World()
    world.link()
    second = world.link(subject="a-2")
    assert service(world).choose(CALLER, second.id, Chosen(default=True)).is_default
    assert (world.actions()[-1], world.stores.database.events[-1].caller) == ("link.default", CALLER)


def test_a_link_that_is_not_there_is_not_found() -> None:
    world = World()
    world.link()
    with pytest.raises(NotFound):
        service(world).choose(CALLER, LinkId(uuid4()), Chosen("x"))
    with pytest.raises(NotFound):
        service(world).choose(CALLER, LinkId(uuid4()), Chosen(default=True))


def test_the_policy_decides_first() -> None:
    world = World()
    link = world.link()
    with pytest.raises(PolicyDenied):
        service(world, "tokens").choose(CALLER, link.id, Chosen("x"))
    with pytest.raises(PolicyDenied):
        service(world, "tokens").choose(CALLER, LinkId(uuid4()), Chosen(default=True))

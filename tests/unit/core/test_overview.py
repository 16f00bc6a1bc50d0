"""The state of links and providers in one word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from support.core_world import ADA, CALLER, PROFILE, World, provider
from support.fakes import FakeQuarantines, Quarantined
from tokenstore.core.model import (
    Account,
    AuditEvent,
    Caller,
    CallerKind,
    Link,
    LinkId,
    LinkState,
    ProviderId,
    TokenSet,
)
from tokenstore.core.overview import (
    OverviewService,
    ScopeStatus,
    Status,
    link_status,
    provider_overview,
    scope_status,
)
from tokenstore.core.policy import Policy
from tokenstore.core.ports import NewLink, Standing
from tokenstore.core.registry import Registry
from tokenstore.core.secret import Secret
from tokenstore.errors import NotFound, PolicyDenied


def standing(world: World, link: Link) -> Standing:
    """What can be said of the link now."""
    return next(one for one in world.stores.links.standings(ADA) if one.link.id == link.id)


ALIVE, EXPIRED, ENDLESS = 100, 4000, -1


@pytest.mark.parametrize(
    ("token", "refresh", "changes", "status"),
    [
        (ALIVE, True, {}, Status.OK),
        (EXPIRED, True, {}, Status.OK),
        (ENDLESS, True, {}, Status.OK),
        (ALIVE, False, {}, Status.OK),
        (ENDLESS, False, {}, Status.OK),
        (EXPIRED, False, {}, Status.REAUTHORIZATION_REQUIRED),
        (ALIVE, True, {"state": LinkState.BROKEN}, Status.REAUTHORIZATION_REQUIRED),
        (EXPIRED, True, {"state": LinkState.BROKEN}, Status.REAUTHORIZATION_REQUIRED),
        (ALIVE, True, {"client_id": "former"}, Status.OK),
        (EXPIRED, True, {"client_id": "former"}, Status.REAUTHORIZATION_REQUIRED),
        (ALIVE, True, {"state": LinkState.SUSPECT}, Status.CHECKING),
        (EXPIRED, True, {"state": LinkState.SUSPECT}, Status.CHECKING),
        (ALIVE, True, {"next_try_at": 60}, Status.OK),
        (EXPIRED, True, {"next_try_at": 60}, Status.UNAVAILABLE),
        (EXPIRED, True, {"next_try_at": -1}, Status.OK),
        (ALIVE, True, {"refresh_expires_at": 6 * 86_400}, Status.EXPIRING),
        (EXPIRED, True, {"refresh_expires_at": 6 * 86_400}, Status.EXPIRING),
        (ALIVE, True, {"refresh_expires_at": 7 * 86_400}, Status.OK),
        (ALIVE, True, {"refresh_expires_at": -1}, Status.EXPIRING),
        (EXPIRED, True, {"refresh_expires_at": -1}, Status.REAUTHORIZATION_REQUIRED),
        (EXPIRED, True, {"refresh_expires_at": -1, "next_try_at": 60}, Status.REAUTHORIZATION_REQUIRED),
    ],
)
def test_the_status_of_a_link_says_whether_it_will_go_on_giving_tokens(
    token: int, changes: dict[str, Any], status: Status, *, refresh: bool
) -> None:
    world = World()
    link = world.link(
        seconds=None if token == ENDLESS else 3600, age=max(token, 0), refresh="refresh-1" if refresh else None
    )
    instants = {
        name: world.now + timedelta(seconds=value) if name.endswith("_at") else value for name, value in changes.items()
    }
    world.change(link, **instants)
    assert link_status(world.provider, standing(world, link)) is status


@pytest.mark.parametrize(
    ("configured", "requested", "granted", "status"),
    [
        ({"openid"}, {"openid"}, {"openid"}, ScopeStatus.OK),
        ({"openid"}, {"openid", "email"}, {"openid", "email"}, ScopeStatus.OK),
        ({"openid"}, {"openid"}, {"openid", "more"}, ScopeStatus.OK),
        ({"openid", "email"}, {"openid"}, {"openid"}, ScopeStatus.OUTDATED),
        ({"openid", "email"}, {"openid", "email"}, {"openid"}, ScopeStatus.NARROWER),
        ({"openid", "offline_access"}, {"openid", "offline_access"}, {"openid"}, ScopeStatus.OK),
        ({"openid", "offline_access"}, {"openid"}, {"openid"}, ScopeStatus.OUTDATED),
        ({"repo"}, {"repo"}, set(), ScopeStatus.NARROWER),
        (set(), set(), set(), ScopeStatus.OK),
    ],
)
def test_scopes_are_compared_with_what_was_requested_and_what_is_configured(
    configured: set[str], requested: set[str], granted: set[str], status: ScopeStatus
) -> None:
    world = World(provider(scopes=tuple(configured)))
    link = world.link()
    world.change(link, scopes_requested=frozenset(requested), scopes_granted=frozenset(granted))
    assert scope_status(world.provider, standing(world, link)) is status


def test_a_provider_without_links_is_not_linked_and_not_active() -> None:
    overview = provider_overview(provider(), [])
    assert (overview.status, overview.scope_status, overview.active) == (Status.NOT_LINKED, ScopeStatus.OK, False)


def test_the_default_link_speaks_for_its_provider() -> None:
    world = World()
    first = world.link(subject="a-1")
    world.link(subject="a-2")
    world.change(first, state=LinkState.BROKEN)
    overview = provider_overview(world.provider, world.stores.links.standings(ADA))
    assert [one.status for one in overview.links] == [Status.REAUTHORIZATION_REQUIRED, Status.OK]
    assert (overview.status, overview.active) == (Status.REAUTHORIZATION_REQUIRED, False)


@pytest.mark.parametrize(
    ("changes", "active"),
    [({}, True), ({"state": LinkState.SUSPECT}, True), ({"state": LinkState.BROKEN}, False)],
)
def test_active_means_a_usable_default_link(changes: dict[str, Any], *, active: bool) -> None:
    world = World()
    world.change(world.link(), **changes)
    assert provider_overview(world.provider, world.stores.links.standings(ADA)).active is active


def test_all_providers_are_listed_in_their_configured_order_each_with_its_own_links() -> None:
    world = World()
    link = world.link()
    other = provider(id=ProviderId("another"))
    world.stores.links.attach(
        NewLink(PROFILE, other, Account("https://o.example", "o"), TokenSet(Secret("a")), frozenset(), monotonic()),
        AuditEvent("link.created", "success"),
    )
    registry = Registry([provider(id=ProviderId("zeta")), world.provider, other])
    listed = OverviewService(
        registry, Policy(), world.stores.links, world.gate, world.stores.quarantines
    ).authorizations(CALLER)
    assert [(one.provider.id, len(one.links)) for one in listed] == [("zeta", 0), ("idp1", 1), ("another", 1)]
    assert listed[1].links[0].standing.link.id == link.id


def test_links_at_providers_that_are_not_offered_any_more_are_listed_apart() -> None:
    world = World()
    link = world.link()
    offered = provider(id=ProviderId("another"))
    service = OverviewService(Registry([offered]), Policy(), world.stores.links, world.gate, world.stores.quarantines)
    overview = service.everything(CALLER)
    assert [(one.provider.id, len(one.links)) for one in overview.providers] == [("another", 0)]
    assert [(one.standing.link.id, one.status) for one in overview.left] == [(link.id, Status.NOT_OFFERED)]
    assert overview.links == overview.left
    assert service.one(CALLER, link.id) == overview.left[0]


def test_a_link_is_found_by_its_id_without_looking_at_its_provider() -> None:
    class NotAsked(FakeQuarantines):
        def quarantined(self) -> Mapping[ProviderId, datetime]:
            raise AssertionError("nobody asked for a status")

    world = World()
    world.link()
    second = world.link(subject="a-2")
    quarantines = NotAsked(world.stores.database)
    service = OverviewService(Registry([world.provider]), Policy(), world.stores.links, world.gate, quarantines)
    assert service.find(CALLER, second.id) == second
    with pytest.raises(NotFound):
        service.find(CALLER, LinkId(uuid4()))


def test_the_policy_decides_who_may_list() -> None:
    world = World()
    link = world.link()
    service = OverviewService(
        Registry([world.provider]), Policy("tokens"), world.stores.links, world.gate, world.stores.quarantines
    )
    looks: list[Callable[[Caller], object]] = [
        service.authorizations,
        lambda caller: service.find(caller, link.id),
        lambda caller: service.one(caller, link.id),
    ]
    for look in looks:
        with pytest.raises(PolicyDenied):
            look(Caller(CallerKind.BEARER, ADA))


@pytest.mark.parametrize(
    ("age", "changes", "status"),
    [
        (ALIVE, {}, Status.OK),
        (EXPIRED, {}, Status.UNAVAILABLE),
        (ALIVE, {"state": LinkState.SUSPECT}, Status.CHECKING),
        (EXPIRED, {"state": LinkState.SUSPECT}, Status.UNAVAILABLE),
        (EXPIRED, {"state": LinkState.BROKEN}, Status.REAUTHORIZATION_REQUIRED),
        (EXPIRED, {"client_id": "former"}, Status.REAUTHORIZATION_REQUIRED),
        (EXPIRED, {"refresh_expires_at": -1}, Status.REAUTHORIZATION_REQUIRED),
    ],
)
@pytest.mark.parametrize("why", ["left-alone", "quarantine"])
def test_a_link_is_unavailable_where_its_provider_gives_no_fresh_tokens_and_it_has_none(
    age: int, changes: dict[str, Any], status: Status, why: str
) -> None:
    world = World()
    link = world.link(seconds=3600, age=age)
    instants = {
        name: world.now + timedelta(seconds=value) if name.endswith("_at") else value for name, value in changes.items()
    }
    world.change(link, **instants)
    if why == "quarantine":
        world.stores.database.quarantines[world.provider.id] = Quarantined(world.now, world.now)
    else:
        world.gate.shut(world.provider.id)
    service = OverviewService(
        Registry([world.provider]), Policy(), world.stores.links, world.gate, world.stores.quarantines
    )
    assert [one.status for one in service.authorizations(CALLER)] == [status]

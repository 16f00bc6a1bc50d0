"""The store between two providers that are not ours, shared by all tests; every test gets people of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.interop import Visitor, World, running_world
from support.oidc_provider import missing


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The one world of this test process; tests take `world`. Without the npm package they are skipped."""
    if (what := missing()) is not None:
        pytest.skip(what)
    with running_world(tmp_path_factory.mktemp("interop")) as running:
        yield running


@pytest.fixture
def world(shared_world: World) -> World:
    """A running store between two providers."""
    return shared_world


@pytest.fixture
def visitor(world: World) -> Visitor:
    """Somebody who has not been here before."""
    return world.visitor()

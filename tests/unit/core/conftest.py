"""The core services over fakes, and a link in need of a refresh."""

from collections.abc import Iterator

import pytest

from support.core_world import World
from tokenstore.core.model import Link


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.flights.close()


@pytest.fixture
def link(world: World) -> Link:
    """A link whose access token has expired."""
    return world.link(seconds=3600, age=4000)

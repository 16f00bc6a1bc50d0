"""No connection to the database is held while a provider is called, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Pool, QueuePool

from demo.address import Address
from demo.knobs import Fault
from demo.store import own_settings
from demo.world import STRICT, World
from support.local_store import serving_locally
from support.store import Store

Served = tuple[Store, Pool]


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Served]:
    """A store in this process, and the pool of its connections."""
    address = Address()
    url = address.url
    with World(url) as world:
        given = {**own_settings(url, database_url), "INSTANCE_PATH": str(tmp_path), **world.settings()}
        with serving_locally(address, given) as app:
            yield Store(url, world, database_url, given), pool_of(app)


def pool_of(app: Flask) -> Pool:
    with app.app_context():
        pool: Pool = app.extensions["sqlalchemy"].engine.pool
    return pool


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_no_connection_is_held_while_a_provider_is_asked(served: Served, endpoint: str) -> None:
    store, pool = served
    person, provider = store.person(), store.providers[STRICT]
    person.log_in()
    person.link(STRICT)
    before = provider.calls.count(endpoint)
    provider.knobs.set(Fault.LATENCY, 1.0, fail_at={endpoint})
    with ThreadPoolExecutor(1) as program:
        if endpoint == "token":
            answer = program.submit(person.token, STRICT, force="true")
        else:
            answer = program.submit(person.call, "POST", f"/api/v1.0/{STRICT}/revoke")
        provider.calls.wait_for(before + 1, endpoint)

        # The provider has the request and answers it a second later.
        assert in_use(pool) == 0
        assert not answer.done()
        assert answer.result().status == 200


def in_use(pool: Pool) -> int:
    assert isinstance(pool, QueuePool)
    return pool.checkedout()

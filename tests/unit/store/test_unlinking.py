"""Unlinking when no key is to be had: the person's wish comes before the provider's courtesy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.harness import ANN, event, new_link
from support.stores import SqlStores, sql_stores
from tokenstore.core.model import ProviderId
from tokenstore.errors import KeyUnavailable
from tokenstore.store.links import SqlLinkStore
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def no_keys() -> Keyring:
    raise KeyUnavailable("no key")


def test_a_missing_key_does_not_stop_unlinking(stores: SqlStores) -> None:
    stores.links.attach(new_link(), event())
    keyless = SqlLinkStore(stores.database, Vault(no_keys))
    (gone,) = keyless.unlink(ANN.identity, ProviderId("idp1"), None, event())
    assert gone.outbox_id is None
    assert stores.links.standings(ANN.identity) == []

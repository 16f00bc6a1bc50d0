"""What is owed when no key is to be had: the person's wish comes before the provider's courtesy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from support.harness import ANN, SqlHarness, event, new_link, provider, tokens
from support.stores import SqlStores, sql_stores
from tokenstore.core.model import ProviderId
from tokenstore.errors import KeyUnavailable, ProviderUnavailable
from tokenstore.store.links import SqlLinkStore
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def no_keys() -> Keyring:
    raise KeyUnavailable("no key")


def test_a_missing_key_does_not_stop_unlinking_and_what_is_lost_is_said(
    stores: SqlStores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.links.attach(new_link(), event())
    keyless = SqlLinkStore(stores.database, Vault(no_keys))
    (gone,) = keyless.unlink(ANN.identity, ProviderId("idp1"), None, event())
    assert (gone.debt, gone.lost) == (None, True)
    assert [record.levelname for record in caplog.records if "cannot be opened and is lost" in record.message] == [
        "ERROR"
    ]
    assert stores.links.standings(ANN.identity) == []


def test_a_replaced_token_that_cannot_be_opened_does_not_stop_linking_and_is_said(
    stores: SqlStores, caplog: pytest.LogCaptureFixture
) -> None:
    at = provider(revokes_grant=False)
    first = stores.links.attach(new_link(at=at), event())
    SqlHarness.over(stores).spoil(first.id)

    again = stores.links.attach(new_link(at=at, received=tokens("access-2", "refresh-2")), event())

    assert (again.id, list(SqlHarness.over(stores).owed())) == (first.id, [])
    assert "cannot be opened and is lost" in caplog.text


def test_what_was_asked_for_before_an_unlinking_is_not_linked_however_long_that_takes(stores: SqlStores) -> None:
    stores.links.attach(new_link(), event())
    late = new_link(elapsed=timedelta(milliseconds=50))
    stores.links.unlink(ANN.identity, ProviderId("idp1"), None, event())
    time.sleep(0.1)  # longer than the request took before it
    with pytest.raises(ProviderUnavailable):
        stores.links.attach(late, event())


def test_what_is_asked_for_after_an_unlinking_is_linked_at_once(stores: SqlStores) -> None:
    for _ in range(5):
        stores.links.attach(new_link(), event())
        stores.links.unlink(ANN.identity, ProviderId("idp1"), None, event())
    assert stores.links.attach(new_link(), event()).has_refresh_token

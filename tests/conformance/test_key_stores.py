"""What the vault's KeyStore promises, and the vault over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.harness import in_parallel
from support.stores import SqlStores, sql_stores, stores_over
from tokenstore.core.secret import Secret
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.keyring import KeyRow, KeyState


@pytest.fixture
def stores(database_url: str) -> Iterator[SqlStores]:
    with sql_stores(database_url) as made:
        yield made


def row(name: bytes, state: KeyState = KeyState.ACTIVE) -> KeyRow:
    return KeyRow(name * 16, 1, b"wrapped", "kek-1", state, b"check")


def test_the_first_row_is_kept_as_given(stores: SqlStores) -> None:
    assert stores.keys.insert_first(row(b"a"))
    assert stores.keys.rows() == [row(b"a")]


def test_a_second_first_row_loses(stores: SqlStores) -> None:
    stores.keys.insert_first(row(b"a"))
    assert not stores.keys.insert_first(row(b"b"))
    assert stores.keys.rows() == [row(b"a")]


def test_of_parallel_first_rows_one_wins(stores: SqlStores) -> None:
    won = in_parallel(10, lambda number: stores.keys.insert_first(row(bytes([number]))))
    assert won.count(True) == 1
    assert len(stores.keys.rows()) == 1


def test_two_vaults_starting_on_an_empty_database_share_one_key(stores: SqlStores) -> None:
    context = Context("link", Kind.REFRESH, b"row")
    vaults = [stores_over(stores.engine).vault for _ in range(8)]
    sealed = in_parallel(8, lambda number: vaults[number].seal(Secret("token"), context))
    assert len(stores.keys.rows()) == 1
    assert all(vaults[0].open(blob, context) == Secret("token") for blob in sealed)

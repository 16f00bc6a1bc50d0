"""Data keys: made once, checked when loaded, told apart when they fail."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from support.keys import MemoryKeyStore
from tokenstore.errors import KeyUnavailable
from tokenstore.vault.kek import EnvKek
from tokenstore.vault.keyring import Keyring, KeyRow, KeyState

KEK = EnvKek((bytes(range(32)),))
OTHER_KEK = EnvKek((bytes(32),))


def made_with(kek: EnvKek, state: KeyState = KeyState.ACTIVE) -> KeyRow:
    store = MemoryKeyStore()
    Keyring.load(kek, store)
    return replace(store.table[0], state=state)


def test_the_first_load_makes_one_active_key() -> None:
    store = MemoryKeyStore()
    keyring = Keyring.load(KEK, store)
    (row,) = store.table
    assert (row.dek_id, row.state, row.kek_id) == (keyring.active.id, KeyState.ACTIVE, KEK.id())
    assert len(keyring.active.key) == len(keyring.active.root) == 32
    assert keyring.active.key != keyring.active.root


def test_a_later_load_finds_the_same_key() -> None:
    store = MemoryKeyStore()
    first, second = Keyring.load(KEK, store), Keyring.load(KEK, store)
    assert first.active.key == second.active.key
    assert first.active.root == second.active.root


def test_workers_that_start_together_end_with_one_key() -> None:
    store, together = MemoryKeyStore(), Barrier(2)

    class BothSeeNothing:
        rows = store.rows

        def insert_first(self, row: KeyRow) -> bool:
            together.wait(timeout=10)
            return store.insert_first(row)

    with ThreadPoolExecutor(2) as workers:
        one, other = workers.map(lambda _: Keyring.load(KEK, BothSeeNothing()), range(2))
    assert len(store.table) == 1
    assert one.active.key == other.active.key


def test_the_stored_row_shows_no_key() -> None:
    store = MemoryKeyStore()
    active = Keyring.load(KEK, store).active
    for secret in (active.key, active.root):
        assert secret not in store.table[0].wrapped + store.table[0].kcv


def test_a_data_key_is_not_printed() -> None:
    keyring = Keyring.load(KEK, MemoryKeyStore())
    for secret in (keyring.active.key, keyring.active.root):
        assert repr(secret) not in repr(keyring)


def test_an_active_key_under_another_kek_is_told_to_the_operator_only() -> None:
    store = MemoryKeyStore([made_with(OTHER_KEK)])
    with pytest.raises(KeyUnavailable) as caught:
        Keyring.load(KEK, store)
    assert OTHER_KEK.id() in caught.value.debug
    assert KEK.id() in caught.value.debug
    assert "CRYPTOKEY" in caught.value.debug
    assert KEK.id() not in caught.value.detail


def test_a_wrong_check_value_is_refused() -> None:
    row = made_with(KEK)
    store = MemoryKeyStore([replace(row, kcv=bytes([row.kcv[0] ^ 1]) + row.kcv[1:])])
    with pytest.raises(KeyUnavailable) as caught:
        Keyring.load(KEK, store)
    assert "check value" in caught.value.debug


def test_a_wrapped_key_of_another_row_is_refused() -> None:
    row, other = made_with(KEK), made_with(KEK)
    with pytest.raises(KeyUnavailable):
        Keyring.load(KEK, MemoryKeyStore([replace(row, wrapped=other.wrapped, kcv=other.kcv)]))


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(KeyUnavailable) as caught:
        Keyring.load(KEK, MemoryKeyStore([replace(made_with(KEK), alg=9)]))
    assert "algorithm 9" in caught.value.debug


@pytest.mark.parametrize("states", [[KeyState.DECRYPT], [KeyState.RETIRED], [KeyState.ACTIVE, KeyState.ACTIVE]])
def test_there_must_be_exactly_one_active_key(states: Sequence[KeyState]) -> None:
    store = MemoryKeyStore([made_with(KEK, state) for state in states])
    with pytest.raises(KeyUnavailable) as caught:
        Keyring.load(KEK, store)
    assert f"{states.count(KeyState.ACTIVE)} active data keys" in caught.value.debug


def test_older_keys_open_too_and_retired_ones_do_not() -> None:
    active, older, retired = made_with(KEK), made_with(KEK, KeyState.DECRYPT), made_with(KEK, KeyState.RETIRED)
    keyring = Keyring.load(KEK, MemoryKeyStore([retired, older, active]))
    assert keyring.active.id == active.dek_id
    assert set(keyring.keys) == {active.dek_id, older.dek_id}
    assert keyring.missing == frozenset()


def test_an_older_key_that_does_not_open_is_missing_and_the_rest_works() -> None:
    active, older = made_with(KEK), made_with(OTHER_KEK, KeyState.DECRYPT)
    keyring = Keyring.load(KEK, MemoryKeyStore([active, older]))
    assert set(keyring.keys) == {active.dek_id}
    assert keyring.missing == {older.dek_id}

"""The vault as the stores see it: sealing for one row, opening nowhere else, loading once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Lock
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.keys import TEST_KEYS, MemoryKeyStore, memory_vault
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, StorageUnavailable
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.kek import EnvKek
from tokenstore.vault.keyring import DataKey, Keyring, KeyState
from tokenstore.vault.vault import Label, Vault

VAULT = memory_vault()
CONTEXT = Context("link", Kind.REFRESH, UUID(int=1), UUID(int=2), "github", "client-1")
OLD, NEW = (DataKey(letter * 16, letter * 32, b"r" * 32) for letter in (b"o", b"n"))

contexts = st.builds(
    Context,
    table=st.text(st.characters(codec="utf-8"), max_size=8),
    kind=st.sampled_from(Kind),
    row=st.uuids() | st.binary(max_size=40),
    user=st.none() | st.uuids(),
    provider_id=st.text(st.characters(codec="utf-8"), max_size=8),
    client_id=st.text(st.characters(codec="utf-8"), max_size=8),
)


@given(st.text(st.characters(exclude_categories=())), contexts)
def test_what_was_sealed_opens_in_its_context(text: str, context: Context) -> None:
    assert VAULT.open(VAULT.seal(Secret(text), context), context).reveal() == text


@given(contexts, contexts)
def test_nothing_opens_in_another_context(one: Context, other: Context) -> None:
    sealed = VAULT.seal(Secret("token"), one)
    if one != other:
        with pytest.raises(KeyUnavailable):
            VAULT.open(sealed, other)


@pytest.mark.parametrize(
    "change",
    [
        {"table": "access_token"},
        {"kind": Kind.PREVIOUS},
        {"row": UUID(int=9)},
        {"user": UUID(int=9)},
        {"user": None},
        {"provider_id": "keycloak"},
        {"client_id": "client-2"},
        {"provider_id": "githubclient-1", "client_id": ""},
    ],
)
def test_each_field_of_the_context_binds(change: dict[str, object]) -> None:
    sealed = VAULT.seal(Secret("token"), CONTEXT)
    with pytest.raises(KeyUnavailable):
        VAULT.open(sealed, replace(CONTEXT, **change))  # type: ignore[arg-type]  # each value fits its own field


@pytest.mark.asvs("11.3.3")
def test_no_changed_byte_and_no_truncation_opens() -> None:
    sealed = VAULT.seal(Secret("a refresh token of some length"), CONTEXT)
    flipped = [
        sealed[:at] + bytes([sealed[at] ^ bit]) + sealed[at + 1 :] for at in range(len(sealed)) for bit in (1, 128)
    ]
    for bad in (*flipped, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed + sealed):
        with pytest.raises(KeyUnavailable):
            VAULT.open(bad, CONTEXT)


@pytest.mark.asvs("11.2.5")
def test_every_failure_looks_the_same() -> None:
    sealed = VAULT.seal(Secret("token"), CONTEXT)
    failures = {
        "format": (b"gAAAAAB" + sealed, CONTEXT),
        "length": (sealed[:50], CONTEXT),
        "algorithm": (sealed[:3] + b"\x07" + sealed[4:], CONTEXT),
        "key id": (sealed[:4] + bytes(16) + sealed[20:], CONTEXT),
        "tag": (sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT),
        "row": (sealed, replace(CONTEXT, row=UUID(int=9))),
        "foreign key": (memory_vault().seal(Secret("token"), CONTEXT), CONTEXT),
    }
    seen = set()
    for blob, context in failures.values():
        with pytest.raises(KeyUnavailable) as caught:
            VAULT.open(blob, context)
        error = caught.value
        seen.add((type(error), error.detail, error.debug, error.retry_after, str(error)))
    assert len(seen) == 1


def test_sealing_twice_never_gives_the_same_salt_nonce_or_ciphertext() -> None:
    blobs = [VAULT.seal(Secret("token"), CONTEXT) for _ in range(2_000)]
    for part in (slice(20, 36), slice(36, 48), slice(48, None)):
        assert len({blob[part] for blob in blobs}) == len(blobs)


def test_the_stored_bytes_do_not_change() -> None:
    vault = Vault(lambda: Keyring(NEW, {NEW.id: NEW}), random=lambda length: bytes(range(length)))
    sealed = vault.seal(Secret("refresh-token"), CONTEXT)
    assert sealed.hex() == (
        "545302016e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e000102030405060708090a0b0c0d0e0f000102030405060708090a0b"
        "cbe2bb0a0e5909ef9c68ffbf2fe25fda24ad6a163dd446301f68a4b2cc"
    )
    assert vault.open(sealed, CONTEXT).reveal() == "refresh-token"


def test_the_derived_keys_and_lookups_do_not_change() -> None:
    vault = Vault(lambda: Keyring(NEW, {NEW.id: NEW}))
    assert vault.derive(Label.CSRF).hex() == "4491352a88aed72f71bbb648a6b3d8738d00aa59945d9b522f528c0dfaa88c3f"
    assert (
        vault.lookup(Label.LOOKUP, "state").hex() == "afcb5ef52314a41506862dd2fad9e3e9f5f955809fe9eb1d0bfb8d8f9ed8d03e"
    )


def test_each_label_has_its_own_key() -> None:
    assert len({VAULT.derive(label) for label in Label}) == len(Label)
    assert len({VAULT.lookup(label, "value") for label in Label}) == len(Label)


def test_lookups_are_the_same_in_every_worker_and_tell_values_apart() -> None:
    store = MemoryKeyStore()
    one, other = memory_vault(store), memory_vault(store)
    assert one.lookup(Label.LOOKUP, "a") == other.lookup(Label.LOOKUP, "a")
    assert one.lookup(Label.LOOKUP, "a") != one.lookup(Label.LOOKUP, "b")


def test_lookups_outlive_a_new_data_key() -> None:
    before = Vault(lambda: Keyring(OLD, {OLD.id: OLD}))
    after = Vault(lambda: Keyring(NEW, {NEW.id: NEW, OLD.id: OLD}))
    assert before.lookup(Label.SESSION_ID, "a") == after.lookup(Label.SESSION_ID, "a")


def test_lookups_outlive_a_new_kek() -> None:
    store = MemoryKeyStore()
    before = memory_vault(store).lookup(Label.SESSION_ID, "a")
    with_a_further_key = EnvKek((bytes(32), *TEST_KEYS))
    assert memory_vault(store, with_a_further_key).lookup(Label.SESSION_ID, "a") == before


def test_an_older_key_still_opens_after_a_new_one_seals() -> None:
    sealed = Vault(lambda: Keyring(OLD, {OLD.id: OLD})).seal(Secret("token"), CONTEXT)
    after = Vault(lambda: Keyring(NEW, {NEW.id: NEW, OLD.id: OLD}))
    assert after.open(sealed, CONTEXT).reveal() == "token"
    assert after.seal(Secret("token"), CONTEXT)[4:20] == NEW.id


def test_making_a_vault_reads_nothing() -> None:
    Vault(lambda: pytest.fail("the keys were read"))


def test_threads_that_come_together_load_the_keys_once() -> None:
    loads, lock, together = [], Lock(), Barrier(8)

    def load() -> Keyring:
        with lock:
            loads.append(1)
        return Keyring(OLD, {OLD.id: OLD})

    vault = Vault(load)

    def first_use(_: int) -> bytes:
        together.wait(timeout=10)
        return vault.seal(Secret("token"), CONTEXT)

    with ThreadPoolExecutor(8) as threads:
        sealed = list(threads.map(first_use, range(8)))
    assert len(loads) == 1
    assert all(vault.open(blob, CONTEXT).reveal() == "token" for blob in sealed)


def test_a_failed_load_is_tried_again_and_its_reason_comes_through() -> None:
    loads = answers(StorageUnavailable("no database"), Keyring(OLD, {OLD.id: OLD}))
    vault = Vault(loads)
    with pytest.raises(StorageUnavailable):
        vault.ready()
    vault.ready()


def test_an_unknown_key_id_makes_the_vault_read_the_keys_again() -> None:
    sealed = Vault(lambda: Keyring(NEW, {NEW.id: NEW})).seal(Secret("token"), CONTEXT)
    vault = Vault(answers(Keyring(OLD, {OLD.id: OLD}), Keyring(NEW, {NEW.id: NEW, OLD.id: OLD})))
    vault.ready()
    assert vault.open(sealed, CONTEXT).reveal() == "token"
    assert vault.seal(Secret("token"), CONTEXT)[4:20] == NEW.id


def test_unknown_key_ids_make_at_most_one_reading_in_five_seconds() -> None:
    loads = [0]
    now = [100.0]

    def load() -> Keyring:
        loads[0] += 1
        return Keyring(OLD, {OLD.id: OLD})

    def open_foreign() -> None:
        with pytest.raises(KeyUnavailable):
            vault.open(sealed, CONTEXT)

    sealed = Vault(lambda: Keyring(NEW, {NEW.id: NEW})).seal(Secret("token"), CONTEXT)
    vault = Vault(load, clock=lambda: now[0])
    for _ in range(10):
        open_foreign()
    assert loads[0] == 2
    now[0] += 5.0
    open_foreign()
    assert loads[0] == 3


def test_a_failed_second_reading_keeps_the_keys_there_are() -> None:
    foreign = Vault(lambda: Keyring(NEW, {NEW.id: NEW})).seal(Secret("token"), CONTEXT)
    vault = Vault(answers(Keyring(OLD, {OLD.id: OLD}), StorageUnavailable("no database")))
    own = vault.seal(Secret("token"), CONTEXT)
    with pytest.raises(KeyUnavailable):
        vault.open(foreign, CONTEXT)
    assert vault.open(own, CONTEXT).reveal() == "token"


def test_rows_of_a_missing_key_are_unavailable_and_the_others_open() -> None:
    store, other_kek = MemoryKeyStore(), EnvKek((bytes(32),))
    sealed = memory_vault(store, other_kek).seal(Secret("token"), CONTEXT)
    newer = MemoryKeyStore()
    memory_vault(newer).ready()
    vault = memory_vault(MemoryKeyStore([*newer.table, replace(store.table[0], state=KeyState.DECRYPT)]))
    with pytest.raises(KeyUnavailable):
        vault.open(sealed, CONTEXT)
    assert vault.open(vault.seal(Secret("token"), CONTEXT), CONTEXT).reveal() == "token"


def answers(*outcomes: Keyring | StorageUnavailable) -> Callable[[], Keyring]:
    """A loader that gives, or raises, one outcome after the other."""
    left: Iterator[Keyring | StorageUnavailable] = iter(outcomes)

    def load() -> Keyring:
        outcome = next(left)
        if isinstance(outcome, StorageUnavailable):
            raise outcome
        return outcome

    return load

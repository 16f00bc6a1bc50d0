"""The data keys: made once, wrapped by the KEK, read from `vault_key` through a port.

Each row wraps 64 bytes: the data key itself and the *root*, from which the keys for lookups, session ids and CSRF
proofs are derived. A later data key carries the root of the one before it, so what was looked up by HMAC is found
again after a rotation, a rewrapping and the retirement of old keys. Commands that add or retire keys are not here.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tokenstore.errors import KeyUnavailable
from tokenstore.vault.envelope import AES_256_GCM, KEY_BYTES, KEY_ID_BYTES, expand, fields, unopenable
from tokenstore.vault.kek import Kek

_log = logging.getLogger(__name__)


class KeyState(StrEnum):
    """Use of a data key: the active one seals, it and the decrypt ones open, retired ones do nothing."""

    ACTIVE = "active"
    DECRYPT = "decrypt"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A row of `vault_key`. `kek_id` names the KEK that wrapped it, `kcv` is the check value of what is wrapped."""

    dek_id: bytes
    alg: int
    wrapped: bytes
    kek_id: str
    state: KeyState
    kcv: bytes


class KeyStore(Protocol):
    """The table `vault_key`. Methods raise StorageUnavailable when the database cannot be used."""

    def rows(self) -> Sequence[KeyRow]:
        """Every row, in one consistent read."""

    def insert_first(self, row: KeyRow) -> bool:
        """Insert the row if the table is empty, and commit. False if another worker was first: nothing is changed."""


@dataclass(frozen=True, slots=True, eq=False)
class DataKey:
    """An unwrapped data key with the root it carries; neither is printed."""

    id: bytes
    key: bytes = field(repr=False)
    root: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Keyring:
    """The data keys in use. `missing`: ids of keys that should open and do not; their values are unavailable."""

    active: DataKey
    keys: Mapping[bytes, DataKey]
    missing: frozenset[bytes] = frozenset()

    @classmethod
    def load(cls, kek: Kek, store: KeyStore, *, random: Callable[[int], bytes] = os.urandom) -> Keyring:
        """Unwraps and checks every key in use, making the first one if there is none.

        Workers that start together end with the same one. Raises KeyUnavailable, with `debug` saying what to mend, if
        there is not exactly one active key or it does not open; a missing older key is logged and left out.
        """
        rows = store.rows()
        if not rows:
            if store.insert_first(_new_row(kek, random)):
                _log.info("made the first data key")
            rows = store.rows()
        active = [row for row in rows if row.state is KeyState.ACTIVE]
        if len(active) != 1:
            raise unopenable(f"vault_key has {len(active)} active data keys where there must be one")
        keys = {active[0].dek_id: _unwrap(kek, active[0])}
        missing = set()
        for row in rows:
            if row.state is KeyState.DECRYPT:
                try:
                    keys[row.dek_id] = _unwrap(kek, row)
                except KeyUnavailable as error:
                    _log.warning("an older data key is missing: %s", error.debug)
                    missing.add(row.dek_id)
        return cls(keys[active[0].dek_id], keys, frozenset(missing))


def _new_row(kek: Kek, random: Callable[[int], bytes]) -> KeyRow:
    dek_id, material = random(KEY_ID_BYTES), random(2 * KEY_BYTES)
    wrapped = kek.wrap(material, _context(AES_256_GCM, dek_id))
    return KeyRow(dek_id, AES_256_GCM, wrapped, kek.id(), KeyState.ACTIVE, _check_value(material))


def _unwrap(kek: Kek, row: KeyRow) -> DataKey:
    name = f"data key {row.dek_id.hex()}"
    if row.alg != AES_256_GCM:
        raise unopenable(f"{name} is for algorithm {row.alg}, which this version does not have")
    try:
        material = kek.unwrap(row.wrapped, _context(row.alg, row.dek_id))
    except KeyUnavailable as error:
        raise unopenable(
            f"{name} was wrapped by {row.kek_id} and does not open with {kek.id()}: give back the earlier"
            " key-encryption key, for CRYPTOKEY as a further entry of its list"
        ) from error
    if len(material) != 2 * KEY_BYTES or not hmac.compare_digest(_check_value(material), row.kcv):
        raise unopenable(f"{name} does not agree with its check value: its row in vault_key was changed")
    return DataKey(row.dek_id, material[:KEY_BYTES], material[KEY_BYTES:])


def _context(alg: int, dek_id: bytes) -> bytes:
    return fields(b"vault_key", bytes((alg,)), dek_id)


def _check_value(material: bytes) -> bytes:
    return expand(material, "ts/kcv/v1")[:16]

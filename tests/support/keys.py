"""Data keys for tests: a key store in memory, and a vault that uses one."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from tokenstore.vault.kek import EnvKek, Kek
from tokenstore.vault.keyring import Keyring, KeyRow
from tokenstore.vault.vault import Vault

TEST_KEYS = (bytes(range(32)),)


class MemoryKeyStore:
    """The table `vault_key` as a list."""

    def __init__(self, rows: Sequence[KeyRow] = ()) -> None:
        self.table = list(rows)
        self._lock = Lock()

    def rows(self) -> Sequence[KeyRow]:
        with self._lock:
            return tuple(self.table)

    def insert_first(self, row: KeyRow) -> bool:
        with self._lock:
            if self.table:
                return False
            self.table.append(row)
            return True


def memory_vault(store: MemoryKeyStore | None = None, kek: Kek | None = None) -> Vault:
    """A vault over the store, or over a new empty one."""
    key_store, key_kek = store or MemoryKeyStore(), kek or EnvKek(TEST_KEYS)
    return Vault(lambda: Keyring.load(key_kek, key_store))

"""What the stores use: seal, open, and keyed hashes for looking secrets up.

Loads the keyring when it is first needed, since an application may be made before its database exists. Keeps neither
plaintext nor record keys.
"""

from __future__ import annotations

import hmac
import logging
import os
import time
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

from tokenstore.core.secret import Secret
from tokenstore.errors import TokenStoreError
from tokenstore.vault.envelope import (
    NONCE_BYTES,
    SALT_BYTES,
    Context,
    decrypt,
    encrypt,
    expand,
    pack,
    unopenable,
    unpack,
)
from tokenstore.vault.keyring import DataKey, Keyring

_REREAD_PAUSE = 5.0
# A provider's JSON may hold half of a surrogate pair; a token with one must still come back as it was.
_TEXT = ("utf-8", "surrogatepass")

_log = logging.getLogger(__name__)


class Label(StrEnum):
    """What a key derived from the root is for."""

    SESSION_ID = "session-id"
    CSRF = "csrf"
    LOOKUP = "lookup-hmac"


class Vault:
    """Seals secrets for one row and opens them for no other; safe to share between threads.

    Any method may load the keyring and so reads the database once: call `ready()` before work that holds a
    connection or a transaction. Methods then raise StorageUnavailable or KeyUnavailable if that fails.
    """

    def __init__(
        self,
        load: Callable[[], Keyring],
        *,
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` reads the key store; `random` returns that many unpredictable bytes; `clock` counts seconds."""
        self._load = load
        self._random = random
        self._clock = clock
        self._lock = Lock()
        self._keyring: Keyring | None = None
        self._next_reread = clock()

    def ready(self) -> None:
        """Returns once the data keys are loaded and checked."""
        self._keys()

    def seal(self, secret: Secret, context: Context) -> bytes:
        """The secret encrypted for this context; different bytes on every call."""
        key = self._keys().active
        salt, nonce = self._random(SALT_BYTES), self._random(NONCE_BYTES)
        plaintext = secret.reveal().encode(*_TEXT)
        return pack(encrypt(plaintext, context, key_id=key.id, key=key.key, salt=salt, nonce=nonce))

    def open(self, sealed: bytes, context: Context) -> Secret:
        """The secret that was sealed for this context.

        Raises KeyUnavailable, always the same, if the bytes are not whole, were sealed for another context, or
        their data key is not there.
        """
        blob = unpack(sealed)
        return Secret(decrypt(blob, context, self._key(blob.key_id).key).decode(*_TEXT))

    def derive(self, label: Label) -> bytes:
        """A 32-byte key for one purpose, the same in every worker.

        It comes from the root that all data keys carry, so it outlives a new KEK and new data keys.
        """
        return expand(self._keys().active.root, f"ts/root/v1|{label}")

    def lookup(self, label: Label, value: str) -> bytes:
        """HMAC-SHA256 of a secret value under the key of the label: what to store and search in the value's place."""
        return hmac.digest(self.derive(label), value.encode(*_TEXT), "sha256")

    def _keys(self) -> Keyring:
        if self._keyring is None:
            with self._lock:
                if self._keyring is None:
                    self._keyring = self._load()
        return self._keyring

    def _key(self, key_id: bytes) -> DataKey:
        keyring = self._keys()
        key = keyring.keys.get(key_id) or self._reread(keyring).keys.get(key_id)
        if key is None:
            raise unopenable()
        return key

    def _reread(self, known: Keyring) -> Keyring:
        """The keyring read anew, since another worker may have added a key; `known` if that was done just now."""
        with self._lock:
            if self._keyring is not known or self._clock() < self._next_reread:
                return self._keyring or known
            self._next_reread = self._clock() + _REREAD_PAUSE
            try:
                self._keyring = self._load()
            except TokenStoreError as error:
                _log.warning("the data keys could not be read again: %s", error.debug or error.detail)
            return self._keyring

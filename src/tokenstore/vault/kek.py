"""The key-encryption key: the one key that wraps the data keys and is never in the database.

Owns the port `Kek`, the reading of CRYPTOKEY and the KEK made from it. Where a setting comes from is `config`'s
business; which data keys there are is `keyring`'s.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokenstore.vault.envelope import KEY_BYTES, NONCE_BYTES, expand, fields, unopenable

_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")
_BASE64_URL = re.compile(r"[A-Za-z0-9_-]{43}=")
_FEWEST_DISTINCT_BYTES = 12

_WRAP_VERSION = b"\x01"
_TAG_BYTES = 8


class Kek(Protocol):
    """A key that wraps other keys; they open only with the context they were wrapped with.

    Every method raises KeyUnavailable when the key cannot be used or the bytes are not what was wrapped.
    """

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """The key encrypted and bound to the context; different bytes on every call."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The key that was wrapped with this context."""

    def id(self) -> str:
        """Name of the key that wraps, as kept beside what it wrapped; tells nothing of the key."""


def parse_cryptokey(text: str) -> tuple[bytes, ...]:
    """The keys of a CRYPTOKEY setting, 32 bytes each: the first encrypts, all decrypt.

    A comma list, spaces around entries dropped, of: 64 hex digits · 44 characters of base64 in either alphabet · 32
    ASCII characters taken as they are. The lengths tell the forms apart, so no text has two meanings. Raises
    ValueError that names every bad entry by its place and never shows it.
    """
    entries = [entry.strip() for entry in text.split(",")]
    keys = [_parse_entry(entry) for entry in entries]
    bad = [str(place) for place, key in enumerate(keys, start=1) if key is None]
    if bad:
        raise ValueError(
            f"entry {', '.join(bad)} of {len(entries)} is no key: write 64 hex digits, 44 characters of base64 or"
            " 32 ASCII characters"
        )
    return tuple(key for key in keys if key is not None)


def cryptokey_weaknesses(keys: Sequence[bytes]) -> list[str]:
    """What makes parsed keys unfit for production, in words that name entries by their place; empty if nothing."""
    problems = []
    for place, key in enumerate(keys, start=1):
        if len(set(key)) < _FEWEST_DISTINCT_BYTES:
            problems.append(f"entry {place} is not random: it has fewer than {_FEWEST_DISTINCT_BYTES} distinct bytes")
        if key in keys[: place - 1]:
            problems.append(f"entry {place} repeats an earlier entry")
    return problems


class EnvKek:
    """The KEK derived from CRYPTOKEY, so that a legacy key never encrypts with AES-GCM itself.

    The first key wraps; keys wrapped by any of them unwrap, each by the tag of its KEK in the blob:
    version | tag[8] | nonce[12] | ciphertext with tag, AES-256-GCM.
    """

    def __init__(self, keys: Sequence[bytes], *, random: Callable[[int], bytes] = os.urandom) -> None:
        """`keys` as parse_cryptokey gives them; `random` returns that many unpredictable bytes."""
        self._keys = {}
        for key in reversed(keys):
            kek = expand(key, "ts/kek/from-cryptokey")
            self._tag = expand(kek, "ts/kek/tag")[:_TAG_BYTES]
            self._keys[self._tag] = AESGCM(kek)
        self._random = random

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See Kek.wrap."""
        nonce = self._random(NONCE_BYTES)
        ciphertext = self._keys[self._tag].encrypt(nonce, key, _associated_data(self._tag, context))
        return _WRAP_VERSION + self._tag + nonce + ciphertext

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See Kek.unwrap."""
        version, tag, nonce, ciphertext = blob[:1], blob[1:9], blob[9:21], blob[21:]
        cipher = self._keys.get(tag)
        if version != _WRAP_VERSION or cipher is None:
            raise unopenable()
        try:
            return cipher.decrypt(nonce, ciphertext, _associated_data(tag, context))
        except (InvalidTag, ValueError):
            raise unopenable() from None

    def id(self) -> str:
        """See Kek.id."""
        return f"env:{self._tag.hex()}"


def _parse_entry(entry: str) -> bytes | None:
    if _HEX.fullmatch(entry):
        return bytes.fromhex(entry)
    if _BASE64.fullmatch(entry):
        return base64.b64decode(entry)
    if _BASE64_URL.fullmatch(entry):
        return base64.urlsafe_b64decode(entry)
    if len(entry) == KEY_BYTES and entry.isascii():
        return entry.encode("ascii")
    return None


def _associated_data(tag: bytes, context: bytes) -> bytes:
    return fields(b"tokenstore", b"kek", _WRAP_VERSION, tag, context)

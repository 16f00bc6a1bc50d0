"""The sealed format: bytes in, bytes out, no keys kept and nothing read from anywhere.

    "TS" | 0x02 | alg | dek_id[16] | salt[16] | nonce[12] | ciphertext | tag[16]

alg 0x01 is AES-256-GCM (NIST SP 800-38D) under a key of this record alone, HKDF-SHA256 (RFC 5869) of the data key
with the salt of the blob; so random nonces never come near their limit. What the blob is bound to, its `Context`,
is additional authenticated data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenstore.errors import KeyUnavailable

AES_256_GCM = 1
KEY_BYTES = 32
KEY_ID_BYTES = 16
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16

_FORMAT = 2
_HEADER = b"TS" + bytes((_FORMAT, AES_256_GCM))
_KEY_ID = slice(len(_HEADER), len(_HEADER) + KEY_ID_BYTES)
_SALT = slice(_KEY_ID.stop, _KEY_ID.stop + SALT_BYTES)
_NONCE = slice(_SALT.stop, _SALT.stop + NONCE_BYTES)
_SHORTEST = _NONCE.stop + TAG_BYTES
_SHA256 = SHA256()


class Kind(StrEnum):
    """What a sealed value is; one kind never opens as another."""

    REFRESH = "refresh"
    PREVIOUS = "previous"
    ACCESS = "access"
    SESSION = "session"
    ATTEMPT = "attempt"
    OUTBOX = "outbox"
    WAITING = "waiting"
    SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class Context:
    """What a sealed value is bound to. Only values that never change during the life of the row.

    `row` is the id made before the insert: a UUID, or the stored id of a session. `client_id` is the one stored on
    the row. What a table does not have stays empty.
    """

    table: str
    kind: Kind
    row: UUID | bytes
    user: UUID | None = None
    provider_id: str = ""
    client_id: str = ""


class Blob(NamedTuple):
    """A sealed value taken apart; `ciphertext` ends in the tag."""

    key_id: bytes
    salt: bytes
    nonce: bytes
    ciphertext: bytes


def unopenable(debug: str = "") -> KeyUnavailable:
    """The one error of this package, so that from outside every failure looks the same; `debug` is for operators."""
    return KeyUnavailable("A stored secret cannot be opened at present. The operator has to look into it.", debug=debug)


def pack(blob: Blob) -> bytes:
    """The bytes to store."""
    return _HEADER + blob.key_id + blob.salt + blob.nonce + blob.ciphertext


def unpack(sealed: bytes) -> Blob:
    """Takes stored bytes apart; raises KeyUnavailable if format, algorithm or length is not ours."""
    if len(sealed) < _SHORTEST or not sealed.startswith(_HEADER):
        raise unopenable()
    return Blob(sealed[_KEY_ID], sealed[_SALT], sealed[_NONCE], sealed[_NONCE.stop :])


def encrypt(plaintext: bytes, context: Context, *, key_id: bytes, key: bytes, salt: bytes, nonce: bytes) -> Blob:
    """Seals with a data key. `salt` and `nonce` must be fresh random bytes of SALT_BYTES and NONCE_BYTES."""
    cipher = AESGCM(_record_key(key, salt, context.kind))
    return Blob(key_id, salt, nonce, cipher.encrypt(nonce, plaintext, _associated_data(key_id, context)))


def decrypt(blob: Blob, context: Context, key: bytes) -> bytes:
    """Opens with the data key that `blob.key_id` names; raises KeyUnavailable unless all is as it was sealed."""
    cipher = AESGCM(_record_key(key, blob.salt, context.kind))
    try:
        return cipher.decrypt(blob.nonce, blob.ciphertext, _associated_data(blob.key_id, context))
    except InvalidTag:
        raise unopenable() from None


def fields(*values: bytes) -> bytes:
    """The values one after the other, each behind its length, so that no two lists give the same bytes."""
    return b"".join([len(value).to_bytes(4, "big") + value for value in values])


def expand(key: bytes, label: str, *, salt: bytes | None = None) -> bytes:
    """A key of KEY_BYTES for one purpose: HKDF-SHA256 (RFC 5869) with the label as info."""
    return HKDF(_SHA256, KEY_BYTES, salt, label.encode()).derive(key)


def _record_key(key: bytes, salt: bytes, kind: Kind) -> bytes:
    return expand(key, f"ts/rec/v1|{kind}", salt=salt)


def _associated_data(key_id: bytes, context: Context) -> bytes:
    return fields(
        b"tokenstore",
        bytes((_FORMAT,)),
        bytes((AES_256_GCM,)),
        key_id,
        context.table.encode(),
        context.kind.encode(),
        context.row if isinstance(context.row, bytes) else context.row.bytes,
        context.user.bytes if context.user else b"",
        context.provider_id.encode(),
        context.client_id.encode(),
    )

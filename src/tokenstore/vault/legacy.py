"""Reading what the reference implementation sealed: Fernet under one of the keys of its CRYPTOKEY.

Nothing is sealed in this form any more. It is bound to no row and names no key, so every key is tried; the format is
that of https://github.com/fernet/spec.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken

from tokenstore.core.importing import Opened
from tokenstore.core.secret import Secret
from tokenstore.vault.envelope import unopenable

_VERSION = b"\x80"
_SHORTEST = 1 + 8 + 16 + 16 + 32


class LegacyReader:
    """Opens Fernet tokens; `keys` as `parse_cryptokey` gives them, 32 bytes each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = tuple(Fernet(base64.urlsafe_b64encode(key)) for key in keys)

    def open(self, sealed: bytes) -> Opened:
        """The text and when it was sealed, to the second. Raises KeyUnavailable, `debug` saying why, for operators."""
        if not _has_the_form(sealed):
            raise unopenable("it is not sealed as the reference seals")
        for cipher in self._ciphers:
            try:
                text, at = cipher.decrypt(sealed), cipher.extract_timestamp(sealed)
            except InvalidToken:
                continue
            try:
                return Opened(Secret(text.decode()), datetime.fromtimestamp(at, UTC))
            except (ValueError, OverflowError, OSError):
                raise unopenable("what it holds is no text, or its time is none") from None
        raise unopenable("no key opens it: the key it was sealed with is missing, or it was changed")


def _has_the_form(sealed: bytes) -> bool:
    try:
        raw = base64.b64decode(sealed, altchars=b"-_", validate=True)
    except ValueError:
        return False
    return raw.startswith(_VERSION) and len(raw) >= _SHORTEST

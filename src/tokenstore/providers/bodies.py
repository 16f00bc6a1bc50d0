"""Answer bodies: read to the end or to the cap, decoded on the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

_GZIP = 31  # zlib's window bits for a gzip wrapper
_ENCODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}


class BadBody(Exception):
    """A body that is not taken. `reason`: `too-large` or `encoding`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_body(chunks: Iterable[bytes], encoding: str, cap: int) -> bytes:
    """The whole body, decoded; raises BadBody for one of more than `cap` bytes or in an encoding we do not know.

    gzip is decoded though we ask for identity: some front ends send it all the same, and refusing such an answer to a
    refresh would lose a rotated token. The cap counts decoded bytes, so a bomb ends the call early.
    """
    zipped = _ENCODINGS.get(encoding.lower())
    if zipped is None:
        raise BadBody("encoding")
    return b"".join(_unzipped(chunks, cap) if zipped else _capped(chunks, cap))


def _capped(chunks: Iterable[bytes], cap: int) -> Iterable[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > cap:
            raise BadBody("too-large")
        yield chunk


def _unzipped(chunks: Iterable[bytes], cap: int) -> Iterable[bytes]:
    decoder = zlib.decompressobj(_GZIP)
    left = cap
    try:
        for chunk in _capped(chunks, cap):
            piece = decoder.decompress(chunk, left + 1)
            left -= len(piece)
            if left < 0 or decoder.unconsumed_tail:
                raise BadBody("too-large")
            yield piece
    except zlib.error:
        raise BadBody("encoding") from None
    if not decoder.eof:
        raise BadBody("encoding")

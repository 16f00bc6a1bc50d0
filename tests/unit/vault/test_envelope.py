"""The sealed format, byte by byte."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.errors import KeyUnavailable
from tokenstore.vault.envelope import Blob, Context, Kind, decrypt, encrypt, fields, pack, unpack

CONTEXT = Context("link", Kind.REFRESH, UUID(int=1), UUID(int=2), "github", "client-1")
KEY, KEY_ID, SALT, NONCE = bytes(range(32)), b"K" * 16, b"S" * 16, b"N" * 12


def test_the_format_does_not_change() -> None:
    blob = encrypt(b"refresh-token", CONTEXT, key_id=KEY_ID, key=KEY, salt=SALT, nonce=NONCE)
    assert pack(blob) == b"TS\x02\x01" + KEY_ID + SALT + NONCE + bytes.fromhex(
        "3338703fa70dcf908921bf073d98bdb6a09ebd96ab1b7dab861b8b75b3"
    )


def test_unpack_undoes_pack() -> None:
    blob = Blob(KEY_ID, SALT, NONCE, b"t" * 16)
    assert unpack(pack(blob)) == blob


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        b"TS",
        pack(Blob(KEY_ID, SALT, NONCE, b"t" * 15)),
        b"TS\x01\x01" + bytes(80),
        b"TS\x02\x00" + bytes(80),
        b"TS\x02\x02" + bytes(80),
        b"ts\x02\x01" + bytes(80),
        b"gAAAAABlegacy" + bytes(100),
    ],
)
def test_a_foreign_format_algorithm_or_length_is_refused(sealed: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        unpack(sealed)


@given(st.binary(max_size=300))
def test_random_bytes_are_never_opened(noise: bytes) -> None:
    for sealed in (noise, b"TS\x02\x01" + noise):
        with pytest.raises(KeyUnavailable):
            decrypt(unpack(sealed), CONTEXT, KEY)


_lists = st.lists(st.binary(max_size=6), max_size=4)


@given(_lists, _lists)
def test_no_two_lists_of_fields_give_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (fields(*one) == fields(*other)) is (one == other)

"""What the reference sealed opens, under any of its keys, and nothing else does."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.vault.kek import parse_cryptokey
from tokenstore.vault.legacy import LegacyReader

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
AT = 1_750_000_000


def sealed(plaintext: bytes, key: bytes = OLD, at: int = AT) -> bytes:
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plaintext, at)


@pytest.mark.parametrize("key", [OLD, NEW], ids=["old", "new"])
def test_token_opens_under_each_of_several_keys_with_the_time_of_its_sealing(key: bytes) -> None:
    opened = LegacyReader((NEW, OLD)).open(sealed(b"refresh", key))

    assert (opened.secret, opened.sealed_at) == (Secret("refresh"), datetime.fromtimestamp(AT, UTC))


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("1" * 32, b"1" * 32),
        (base64.b64encode(b"\xfb\xff" * 16).decode(), b"\xfb\xff" * 16),
        (OLD.hex(), OLD),
    ],
    ids=["raw", "base64", "hex"],
)
def test_each_form_of_a_key_that_the_reference_took_opens_what_it_sealed(setting: str, key: bytes) -> None:
    assert LegacyReader(parse_cryptokey(setting)).open(sealed(b"refresh", key)).secret == Secret("refresh")


def test_token_under_a_missing_key_says_so_to_operators_only() -> None:
    with pytest.raises(KeyUnavailable) as caught:
        LegacyReader((NEW,)).open(sealed(b"refresh"))

    assert caught.value.debug.startswith("no key opens it")
    assert "no key" not in caught.value.detail


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"refresh\xff"])
def test_sealed_bytes_that_are_no_text_are_refused(bad: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        LegacyReader((OLD,)).open(sealed(bad))


def test_impossible_time_is_refused() -> None:
    with pytest.raises(KeyUnavailable):
        LegacyReader((OLD,)).open(sealed(b"refresh", at=2**63))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_fernet_token_are_refused(junk: bytes) -> None:
    with pytest.raises(KeyUnavailable):
        LegacyReader((OLD,)).open(junk)


@given(st.data())
def test_no_changed_byte_opens(data: st.DataObject) -> None:
    good = base64.urlsafe_b64decode(sealed(b"refresh"))
    place = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.integers(1, 255))
    changed = good[:place] + bytes((good[place] ^ change,)) + good[place + 1 :]

    with pytest.raises(KeyUnavailable):
        LegacyReader((OLD,)).open(base64.urlsafe_b64encode(changed))

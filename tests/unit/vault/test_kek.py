"""CRYPTOKEY in all its forms, and what every key-encryption key has to do."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstore.errors import KeyUnavailable
from tokenstore.vault.kek import EnvKek, Kek, cryptokey_weaknesses, parse_cryptokey

KEY = bytes(range(0xC0, 0xE0))
URLSAFE_KEY = bytes([0xFB, 0xEF, 0xBE]) * 10 + b"\xfb\xef"
RAW = "correct horse battery staple 123"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (KEY.hex(), (KEY,)),
        (KEY.hex().upper(), (KEY,)),
        (base64.b64encode(KEY).decode(), (KEY,)),
        (base64.b64encode(URLSAFE_KEY).decode(), (URLSAFE_KEY,)),
        (base64.urlsafe_b64encode(URLSAFE_KEY).decode(), (URLSAFE_KEY,)),
        (RAW, (RAW.encode(),)),
        ("0123456789abcdef0123456789abcdef", (b"0123456789abcdef0123456789abcdef",)),
        (f" {KEY.hex()} ,  {RAW} \n", (KEY, RAW.encode())),
    ],
)
def test_every_form_of_cryptokey_gives_its_keys_in_order(text: str, keys: tuple[bytes, ...]) -> None:
    assert parse_cryptokey(text) == keys


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_the_same_in_every_encoding(key: bytes) -> None:
    texts = [key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()]
    assert {parse_cryptokey(text) for text in texts} == {(key,)}


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "short",
        RAW + "4",
        RAW[:-1],
        RAW[:-1] + "é",
        KEY.hex()[:-1],
        KEY.hex()[:-1] + "g",
        KEY.hex() + "00",
        base64.b64encode(KEY).decode().rstrip("="),
        base64.b64encode(KEY[:31]).decode(),
        "+" + "_" + base64.b64encode(KEY).decode()[2:],
        "-" + base64.b64encode(KEY).decode(),
        "*" * 43 + "=",
    ],
)
def test_a_bad_entry_is_named_by_its_place_and_not_shown(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^entry 2 of 3 is no key: ") as caught:
        parse_cryptokey(f"{RAW},{entry},{KEY.hex()}")
    assert not entry or entry not in str(caught.value)


def test_all_bad_entries_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"^entry 1, 3 of 3 "):
        parse_cryptokey(f"x,{RAW},")


def test_random_keys_have_no_weakness() -> None:
    assert cryptokey_weaknesses((KEY, URLSAFE_KEY[:8] + KEY[8:])) == []


def test_too_few_distinct_bytes_and_repeated_keys_are_weaknesses() -> None:
    eleven, twelve = bytes(range(11)) + bytes(21), bytes(range(12)) + bytes(20)
    assert cryptokey_weaknesses((twelve,)) == []
    assert cryptokey_weaknesses((twelve, eleven, twelve)) == [
        "entry 2 is not random: it has fewer than 12 distinct bytes",
        "entry 3 repeats an earlier entry",
    ]


class KekConformance:
    """What every Kek does; a subclass says how to make one, where the same number gives the same key."""

    make: Callable[[int], Kek]

    def test_what_was_wrapped_unwraps_with_its_context(self) -> None:
        kek = self.make(1)
        assert kek.unwrap(kek.wrap(KEY, b"here"), b"here") == KEY

    def test_another_instance_with_the_same_key_unwraps(self) -> None:
        assert self.make(1).unwrap(self.make(1).wrap(KEY, b"here"), b"here") == KEY

    def test_wrapping_twice_gives_different_bytes_that_do_not_hold_the_key(self) -> None:
        kek = self.make(1)
        first, second = kek.wrap(KEY, b"here"), kek.wrap(KEY, b"here")
        assert first != second
        assert KEY not in first

    def test_another_context_does_not_unwrap(self) -> None:
        kek = self.make(1)
        with pytest.raises(KeyUnavailable):
            kek.unwrap(kek.wrap(KEY, b"here"), b"there")

    def test_another_key_does_not_unwrap(self) -> None:
        with pytest.raises(KeyUnavailable):
            self.make(2).unwrap(self.make(1).wrap(KEY, b"here"), b"here")

    def test_no_changed_or_truncated_blob_unwraps(self) -> None:
        kek = self.make(1)
        blob = kek.wrap(KEY, b"here")
        changed = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(len(blob))]
        for bad in (*changed, *(blob[:length] for length in range(len(blob))), blob + b"\0"):
            with pytest.raises(KeyUnavailable):
                kek.unwrap(bad, b"here")

    def test_the_id_names_the_key_and_does_not_tell_it(self) -> None:
        assert self.make(1).id() == self.make(1).id()
        assert self.make(1).id() != self.make(2).id()


class TestEnvKek(KekConformance):
    make = staticmethod(lambda key: EnvKek((bytes([key]) * 32,)))

    def test_later_keys_unwrap_what_they_wrapped_and_the_first_one_wraps(self) -> None:
        old, new = bytes(32), KEY
        wrapped_by_old = EnvKek((old,)).wrap(b"k" * 64, b"here")
        both = EnvKek((new, old))
        assert both.unwrap(wrapped_by_old, b"here") == b"k" * 64
        assert both.id() == EnvKek((new,)).id()
        assert EnvKek((new,)).unwrap(both.wrap(b"k" * 64, b"here"), b"here") == b"k" * 64

    def test_the_wrapped_format_does_not_change(self) -> None:
        kek = EnvKek((KEY,), random=lambda length: bytes(range(length)))
        assert kek.id() == "env:1a5b730d8320f808"
        assert kek.wrap(b"k" * 64, b"context").hex() == (
            "011a5b730d8320f808000102030405060708090a0b51ac5c6acd9e0802f31e1a320b38ea934dc09b2da6356dc46ebee3"
            "4942600c80acf319b994ab9cdc6a1cffd0994510ecd7560be88378d2f2b30e1cb670f8116ddb1c6ac724582dde497b3d"
            "c9cd373a57"
        )

"""What stands in a file of the spool is the answer, whole, or it is told from one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.keys import MemoryKeyStore, memory_vault
from support.spooled import LINK, OTHER, VAULT, answer
from support.token_sets import scopes, texts, token_sets
from tokenstore.core.model import Account, Asked, Identity, LinkId, ProviderId, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled, Whose
from tokenstore.errors import KeyUnavailable
from tokenstore.store.spool_texts import Torn, pack, unpack
from tokenstore.vault.envelope import Context, Kind

answers = st.builds(
    Spooled,
    link_id=st.uuids().map(LinkId),
    version=st.integers(1, 2**63),
    asked=st.builds(Asked, scopes, st.none() | texts, st.lists(texts, max_size=2).map(tuple)),
    tokens=token_sets,
    sent_at=st.integers(0, 10**10).map(lambda number: datetime.fromtimestamp(number, UTC)),
    rotation_only=st.booleans(),
    whose=st.none()
    | st.builds(
        Whose,
        texts.map(ProviderId),
        texts,
        st.builds(Identity, texts, texts),
        st.builds(Account, texts, texts),
    ),
)


@given(answers)
def test_an_answer_comes_back_as_it_was_kept(spooled: Spooled) -> None:
    assert unpack(VAULT, pack(VAULT, spooled), spooled.link_id, spooled.version) == spooled


def test_what_follows_an_answer_is_ignored() -> None:
    assert unpack(VAULT, pack(VAULT, answer()) + bytes(1000), LINK.id, LINK.version) == answer()


def test_no_token_can_be_read() -> None:
    content = pack(VAULT, answer())
    assert (b"refresh-2" in content, b"access-2" in content) == (False, False)


@pytest.mark.parametrize("length", [0, 1, 8, 11, 12, 40, 44, 100])
def test_an_answer_that_was_not_written_whole_is_torn(length: int) -> None:
    with pytest.raises(Torn):
        unpack(VAULT, pack(VAULT, answer())[:length], LINK.id, LINK.version)


def test_an_answer_of_which_the_disk_lost_a_page_is_torn() -> None:
    content = bytearray(pack(VAULT, answer()))
    content[100:150] = bytes(50)
    with pytest.raises(Torn):
        unpack(VAULT, bytes(content), LINK.id, LINK.version)


def test_an_answer_of_another_link_does_not_open() -> None:
    with pytest.raises(KeyUnavailable):
        unpack(VAULT, pack(VAULT, answer()), OTHER.id, LINK.version)


def test_an_answer_of_another_version_does_not_open() -> None:
    with pytest.raises(KeyUnavailable):
        unpack(VAULT, pack(VAULT, answer()), LINK.id, LINK.version + 1)


def test_an_answer_sealed_with_a_key_that_is_gone_does_not_open() -> None:
    with pytest.raises(KeyUnavailable):
        unpack(memory_vault(MemoryKeyStore()), pack(VAULT, answer()), LINK.id, LINK.version)


def test_an_answer_of_another_version_of_the_store_is_read_as_far_as_it_goes() -> None:
    text = json.dumps({"tokens": {"access_token": "access-2", "refresh_token": "refresh-2"}, "new": 1})
    sealed = VAULT.seal(Secret(text), Context("spool", Kind.SPOOL, uuid5(LINK.id, str(LINK.version))))
    content = b"TSSPOOL1" + len(sealed).to_bytes(4, "big") + sha256(sealed).digest() + sealed
    read = unpack(VAULT, content, LINK.id, LINK.version)
    assert read.tokens == TokenSet(Secret("access-2"), refresh_token=Secret("refresh-2"))
    assert (read.asked, read.whose, read.rotation_only) == (Asked(), None, False)

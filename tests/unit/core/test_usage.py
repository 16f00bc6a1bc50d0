"""Noting uses of links, and writing them down together."""

from __future__ import annotations

from uuid import uuid4

import pytest

from support.core_world import CALLER, UsedNotes, World
from tokenstore.core.model import LinkId
from tokenstore.core.usage import AT_ONCE, Usage
from tokenstore.errors import NotLinked, StorageUnavailable


def test_what_is_noted_is_written_once() -> None:
    notes, link = UsedNotes(), LinkId(uuid4())
    usage = Usage(notes)
    for _ in range(3):
        usage.note(link)

    assert (usage.flush(), usage.flush()) == (1, 0)
    assert notes.batches == [{link}]


def test_nothing_noted_writes_nothing() -> None:
    notes = UsedNotes()
    Usage(notes).flush()
    assert notes.batches == []


def test_much_is_written_in_parts() -> None:
    notes = UsedNotes()
    usage = Usage(notes)
    links = {LinkId(uuid4()) for _ in range(AT_ONCE + 1)}
    for link in links:
        usage.note(link)

    assert usage.flush() == AT_ONCE + 1
    assert [len(batch) for batch in notes.batches] == [AT_ONCE, 1]
    assert frozenset[LinkId]().union(*notes.batches) == links


def test_what_the_database_does_not_take_is_written_later() -> None:
    notes, link = UsedNotes(down=True), LinkId(uuid4())
    usage = Usage(notes)
    usage.note(link)
    with pytest.raises(StorageUnavailable):
        usage.flush()

    notes.down = False

    assert usage.flush() == 1


def test_each_hand_out_is_noted_and_nothing_else() -> None:
    world = World()
    with pytest.raises(NotLinked):
        world.tokens.fresh_token(CALLER, "idp1")
    link = world.link()
    world.tokens.fresh_token(CALLER, "idp1")

    world.usage.flush()

    assert world.used.batches == [{link.id}]

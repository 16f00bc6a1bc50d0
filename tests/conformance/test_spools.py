"""What every Spool promises, in memory and on a disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from support.core_world import ADA, World
from support.fake_spool import FakeSpool
from support.keys import memory_vault
from tokenstore.core.model import Asked, Link, LinkId, TokenSet
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spool, Spooled, Whose
from tokenstore.store.spool import FileSpool

LINK = World().link()
OTHER = replace(LINK, id=LinkId(uuid4()))


@pytest.fixture(params=["fake", "files"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    return FakeSpool() if request.param == "fake" else FileSpool(tmp_path / "spool", memory_vault())


def answer(link: Link = LINK, refresh: str = "refresh-2") -> Spooled:
    tokens = TokenSet(Secret("access-2"), refresh_token=Secret(refresh))
    whose = Whose(link.provider_id, link.client_id, ADA, link.account)
    return Spooled(link.id, link.version, Asked(), tokens, link.linked_at, whose=whose)


def waiting(spool: Spool, link_id: LinkId | None = None) -> list[Spooled | None]:
    return [found.read() for found in spool.left_behind(link_id)]


def test_the_name_stays_and_can_stand_before_a_slash(spool: Spool) -> None:
    assert spool.name() == spool.name()
    assert "/" not in spool.name()


def test_a_spool_that_was_never_used_is_ready_and_empty(spool: Spool) -> None:
    spool.ready()
    assert (waiting(spool), spool.depth().entries) == ([], 0)


def test_reserved_room_is_no_answer(spool: Spool) -> None:
    place = spool.reserve(LINK)
    assert (waiting(spool), spool.depth().entries) == ([], 0)
    place.close()


def test_an_answer_is_found_as_it_was_kept_also_when_its_place_is_closed(spool: Spool) -> None:
    place = spool.reserve(LINK)
    place.keep(answer())
    assert waiting(spool) == [answer()]
    place.close()
    place.close()
    assert (waiting(spool), spool.depth().entries, spool.depth().unreadable) == ([answer()], 1, 0)


def test_a_place_that_is_forgotten_has_nothing_however_often(spool: Spool) -> None:
    place = spool.reserve(LINK)
    place.keep(answer())
    place.forget()
    place.forget()
    place.close()
    assert (waiting(spool), spool.depth().entries) == ([], 0)


def test_a_place_that_held_nothing_can_be_forgotten(spool: Spool) -> None:
    place = spool.reserve(LINK)
    place.forget()
    place.close()
    assert waiting(spool) == []


def test_answers_are_found_by_link(spool: Spool) -> None:
    for link in (LINK, OTHER):
        place = spool.reserve(link)
        place.keep(answer(link))
        place.close()
    assert waiting(spool, OTHER.id) == [answer(OTHER)]
    assert [found.link_id for found in spool.left_behind(LINK.id)] == [LINK.id]
    assert spool.depth().entries == 2


def test_two_flights_of_one_link_have_a_place_each(spool: Spool) -> None:
    first, second = spool.reserve(LINK), spool.reserve(LINK)
    first.keep(answer())
    second.keep(answer(refresh="refresh-3"))
    first.forget()
    assert waiting(spool) == [answer(refresh="refresh-3")]
    first.close()
    second.close()


def test_of_two_who_find_an_answer_both_may_forget_it(spool: Spool) -> None:
    place = spool.reserve(LINK)
    place.keep(answer())
    [mine], [others] = spool.left_behind(), spool.left_behind()
    mine.forget()
    assert others.read() is None
    others.forget()
    place.forget()
    place.close()
    assert waiting(spool) == []


def test_tidying_takes_nothing_that_is_in_use(spool: Spool) -> None:
    place, unused = spool.reserve(LINK), spool.reserve(OTHER)
    place.keep(answer())
    spool.tidy()
    unused.keep(answer(OTHER))
    assert len(waiting(spool)) == 2
    place.close()
    unused.close()

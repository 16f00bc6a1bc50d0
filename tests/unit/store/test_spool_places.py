"""One file of the spool: what is kept there comes back, and what is not whole is put aside."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from support.keys import MemoryKeyStore, memory_vault
from support.spooled import LINK, OTHER, VAULT, answer, grow_old, kept
from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.spool import ROOM, FileSpool
from tokenstore.store.spool_places import TORN


def test_an_answer_longer_than_the_room_reserved_for_it_is_kept_all_the_same(spool: FileSpool) -> None:
    long = TokenSet(Secret("x" * ROOM * 3), refresh_token=Secret("refresh-2"))
    spool.reserve(LINK).keep(answer(tokens=long))
    (found,) = spool.left_behind()
    assert found.read() == answer(tokens=long)


def test_only_its_owner_may_look_into_the_spool(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    assert [stat.S_IMODE(of.stat().st_mode) for of in (folder, path)] == [0o700, 0o600]


def test_reserved_room_is_no_answer(spool: FileSpool) -> None:
    spool.reserve(LINK)
    assert (spool.left_behind(), spool.depth().entries) == ([], 0)


def test_a_place_that_was_not_used_leaves_nothing(spool: FileSpool, folder: Path) -> None:
    spool.reserve(LINK).close()
    assert list(folder.glob("*")) == []


def test_a_place_that_is_closed_keeps_its_answer(spool: FileSpool) -> None:
    place = spool.reserve(LINK)
    place.keep(answer())
    place.close()
    assert spool.depth().entries == 1


def test_a_place_that_is_forgotten_leaves_nothing(spool: FileSpool, folder: Path) -> None:
    place = spool.reserve(LINK)
    place.keep(answer())
    place.forget()
    place.close()
    assert list(folder.glob("*")) == []


def test_an_answer_that_is_forgotten_is_not_found_again(spool: FileSpool, folder: Path) -> None:
    kept(spool, folder)
    for found in spool.left_behind():
        found.forget()
        found.forget()
    assert spool.left_behind() == []


def test_an_answer_that_another_process_has_taken_meanwhile_is_nothing(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    (found,) = spool.left_behind()
    path.unlink()
    assert found.read() is None


@pytest.mark.parametrize("length", [1, 100])
def test_an_answer_that_was_not_written_whole_is_put_aside(spool: FileSpool, folder: Path, length: int) -> None:
    path = kept(spool, folder)
    path.write_bytes(path.read_bytes()[:length])
    grow_old(path, TORN)
    (found,) = spool.left_behind()
    assert found.read() is None
    assert spool.left_behind() == []
    assert [path.suffix for path in folder.glob("*.unreadable")] == [".unreadable"]
    assert (spool.depth().entries, spool.depth().unreadable) == (0, 1)


def test_an_answer_that_is_just_being_written_is_not_put_aside(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    (found,) = spool.left_behind()
    assert found.read() is None
    path.write_bytes(whole)
    assert (found.read(), spool.depth().unreadable) == (answer(), 0)


def test_an_answer_that_cannot_be_removed_is_done_for_this_spool_all_the_same(
    spool: FileSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(spool, folder)
    kept(spool, folder, OTHER)

    def read_only(_path: Path, **_options: bool) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    (found,) = spool.left_behind(LINK.id)
    found.forget()
    assert [left.link_id for left in spool.left_behind()] == [OTHER.id]
    assert spool.depth().entries == 1
    assert len(FileSpool(folder, VAULT).left_behind()) == 2


def test_an_answer_of_which_the_disk_lost_a_page_is_put_aside(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    content = bytearray(path.read_bytes())
    content[100:150] = bytes(50)
    path.write_bytes(content)
    grow_old(path, TORN)
    (found,) = spool.left_behind()
    assert found.read() is None
    assert spool.depth().unreadable == 1


def test_an_answer_moved_to_another_link_does_not_open(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    path.rename(path.with_name(path.name.replace(LINK.id.hex, OTHER.id.hex)))
    (found,) = spool.left_behind()
    with pytest.raises(KeyUnavailable):
        found.read()


def test_an_answer_moved_to_another_version_does_not_open(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    path.rename(path.with_name(path.name.replace(".7.", ".8.")))
    (found,) = spool.left_behind()
    with pytest.raises(KeyUnavailable):
        found.read()


def test_an_answer_sealed_with_a_key_that_is_gone_does_not_open(folder: Path, spool: FileSpool) -> None:
    kept(spool, folder)
    (found,) = FileSpool(folder, memory_vault(MemoryKeyStore())).left_behind()
    with pytest.raises(KeyUnavailable):
        found.read()

"""The spool on a disk: what is kept comes back whole, whatever else lies there."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.keys import MemoryKeyStore, memory_vault
from support.token_sets import scopes, texts, token_sets
from tokenstore.core.model import Account, Asked, Identity, Link, LinkId, LinkState, ProviderId, TokenSet, UserId
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled, Whose
from tokenstore.errors import KeyUnavailable, StorageUnavailable
from tokenstore.store.spool import FORSAKEN, ROOM, TORN, FileSpool
from tokenstore.vault.envelope import Context, Kind

TESTS = Path(__file__).resolve().parents[2]
VAULT = memory_vault()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINK = Link(
    id=LinkId(UUID(int=1)),
    user_id=UserId(UUID(int=2)),
    provider_id=ProviderId("idp1"),
    client_id="client-1",
    account=Account("https://idp.example", "a-1"),
    is_default=True,
    label=None,
    state=LinkState.ACTIVE,
    version=7,
    has_refresh_token=True,
    scopes_requested=frozenset(),
    scopes_granted=frozenset(),
    linked_at=NOON,
)
OTHER = replace(LINK, id=LinkId(UUID(int=9)))
TOKENS = TokenSet(Secret("access-2"), timedelta(hours=1), Secret("refresh-2"))

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> FileSpool:
    return FileSpool(folder, VAULT)


def answer(of: Link = LINK, tokens: TokenSet = TOKENS) -> Spooled:
    return Spooled(of.id, of.version, Asked(), tokens, NOON)


def kept(spool: FileSpool, folder: Path, of: Link = LINK) -> Path:
    """The file in which an answer of this link is kept."""
    spool.reserve(of).keep(answer(of))
    (path,) = folder.glob(f"{of.id.hex}.*")
    return path


def age(path: Path, by: timedelta) -> None:
    """Let a file be older than this."""
    then = (datetime.now(UTC) - by - timedelta(seconds=5)).timestamp()
    os.utime(path, (then, then))


def written_as(text: str, path: Path) -> None:
    """Write this in place of what is kept there."""
    sealed = VAULT.seal(Secret(text), Context("spool", Kind.SPOOL, uuid5(LINK.id, str(LINK.version))))
    path.write_bytes(b"TSSPOOL1" + len(sealed).to_bytes(4, "big") + sha256(sealed).digest() + sealed)


@given(answers)
def test_an_answer_comes_back_as_it_was_kept(spooled: Spooled) -> None:
    with TemporaryDirectory() as folder:
        spool = FileSpool(Path(folder) / "spool", VAULT)
        spool.reserve(replace(LINK, id=spooled.link_id, version=spooled.version)).keep(spooled)
        (found,) = spool.left_behind()
        assert (found.link_id, found.read()) == (spooled.link_id, spooled)


def test_an_answer_longer_than_the_room_reserved_for_it_is_kept_all_the_same(spool: FileSpool) -> None:
    long = TokenSet(Secret("x" * ROOM * 3), refresh_token=Secret("refresh-2"))
    spool.reserve(LINK).keep(answer(tokens=long))
    (found,) = spool.left_behind()
    assert found.read() == answer(tokens=long)


def test_only_its_owner_may_look_into_the_spool(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    assert [stat.S_IMODE(of.stat().st_mode) for of in (folder, path)] == [0o700, 0o600]


def test_no_token_can_be_read_on_the_disk(spool: FileSpool, folder: Path) -> None:
    content = kept(spool, folder).read_bytes()
    assert (b"refresh-2" in content, b"access-2" in content) == (False, False)


def test_room_is_on_the_disk_before_it_is_needed(spool: FileSpool, folder: Path) -> None:
    spool.reserve(LINK)
    (path,) = folder.glob("*")
    assert path.stat().st_blocks * 512 >= ROOM


def test_room_that_the_disk_does_not_have_leaves_nothing(spool: FileSpool, folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM // 4, hard))
    try:
        with pytest.raises(StorageUnavailable):
            spool.reserve(LINK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(folder.glob("*")) == []


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


def test_answers_are_found_by_link(spool: FileSpool, folder: Path) -> None:
    kept(spool, folder, LINK)
    kept(spool, folder, OTHER)
    assert [found.link_id for found in spool.left_behind(OTHER.id)] == [OTHER.id]
    assert len(spool.left_behind()) == 2


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


@pytest.mark.parametrize("length", [1, 8, 11, 12, 40, 44, 100])
def test_an_answer_that_was_not_written_whole_is_put_aside(spool: FileSpool, folder: Path, length: int) -> None:
    path = kept(spool, folder)
    path.write_bytes(path.read_bytes()[:length])
    age(path, TORN)
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


def test_an_answer_of_another_version_of_the_store_is_read_as_far_as_it_goes(spool: FileSpool, folder: Path) -> None:
    text = json.dumps({"tokens": {"access_token": "access-2", "refresh_token": "refresh-2"}, "new": 1})
    written_as(text, kept(spool, folder))
    (found,) = spool.left_behind()
    read = found.read()
    assert read is not None
    assert read.tokens == TokenSet(Secret("access-2"), refresh_token=Secret("refresh-2"))
    assert (read.asked, read.whose, read.rotation_only) == (Asked(), None, False)


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
    age(path, TORN)
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


def test_strange_files_are_left_alone(spool: FileSpool, folder: Path) -> None:
    kept(spool, folder)
    for name in ("README", f"{LINK.id.hex}.7", f"{LINK.id.hex}.7.x", "lost+found"):
        (folder / name).write_text("nothing of ours")
    assert len(spool.left_behind()) == 1
    spool.tidy()
    assert (folder / "README").exists()


def test_forsaken_room_is_cleared_and_an_old_answer_is_not(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    forsaken = folder / f"{OTHER.id.hex}.7.{UUID(int=5).hex}"
    forsaken.write_bytes(bytes(ROOM))
    for each in (path, forsaken):
        age(each, FORSAKEN)
    spool.reserve(OTHER)
    spool.tidy()
    left = {each.name for each in folder.glob("*")}
    assert (path.name in left, forsaken.name in left, len(left)) == (True, False, 2)


def test_room_of_a_flight_under_way_is_not_cleared_however_old_it_seems(spool: FileSpool, folder: Path) -> None:
    place = spool.reserve(LINK)
    (path,) = folder.glob("*")
    age(path, FORSAKEN)
    FileSpool(folder, VAULT).tidy()
    place.keep(answer())
    assert len(spool.left_behind()) == 1


def test_room_is_cleared_when_the_process_that_reserved_it_is_gone(spool: FileSpool, folder: Path) -> None:
    reserving = "from unit.store.test_spool import *; FileSpool(Path(sys.argv[1]), VAULT).reserve(LINK)"
    subprocess.run([sys.executable, "-c", reserving, str(folder)], cwd=TESTS, check=True, timeout=60)
    (path,) = folder.glob("*")
    age(path, FORSAKEN)
    spool.tidy()
    assert list(folder.glob("*")) == []


def test_the_depth_tells_how_long_the_oldest_waits(spool: FileSpool, folder: Path) -> None:
    path = kept(spool, folder)
    kept(spool, folder, OTHER)
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(path, (an_hour_ago, an_hour_ago))
    depth = spool.depth()
    assert (depth.entries, round(depth.oldest.total_seconds() / 60)) == (2, 60)


def test_processes_that_share_the_folder_share_the_name(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: FileSpool(folder, VAULT).name(), range(16)))
    assert len(names) == 1


def test_a_machine_that_gets_another_host_name_keeps_the_name_of_its_spool(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = FileSpool(folder, VAULT).name()
    monkeypatch.setattr(socket, "gethostname", lambda: "another-container")
    assert FileSpool(folder, VAULT).name() == before


def test_another_folder_is_another_machine(tmp_path: Path) -> None:
    assert FileSpool(tmp_path / "a", VAULT).name() != FileSpool(tmp_path / "b", VAULT).name()


def test_the_name_has_no_slash(spool: FileSpool) -> None:
    assert "/" not in spool.name()


def test_a_folder_that_cannot_be_made_is_an_outage_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable, match="spool"):
        FileSpool(tmp_path / "spool", VAULT).reserve(LINK)


def test_an_empty_spool_that_was_never_used_has_nothing(spool: FileSpool, folder: Path) -> None:
    assert (spool.left_behind(), spool.depth().entries, folder.exists()) == ([], 0, False)


def test_the_depth_leaves_out_an_answer_that_is_taken_while_it_is_looked_at(
    spool: FileSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(spool, folder)
    kept(spool, folder, OTHER)
    stat_of = Path.stat

    def taken_by_then(asked: Path, **options: bool) -> os.stat_result:
        if asked == path:
            path.unlink()
        return stat_of(asked, **options)

    monkeypatch.setattr(Path, "stat", taken_by_then)
    assert spool.depth().entries == 1


def test_a_spool_that_can_be_made_is_ready_and_for_its_owner_only(spool: FileSpool, folder: Path) -> None:
    assert not folder.exists()
    spool.ready()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["/proc/nope", "/dev/null/spool"])
def test_a_spool_that_cannot_be_made_is_told_to_callers_and_to_the_log(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StorageUnavailable):
        FileSpool(Path(place), VAULT).ready()
    assert [(record.levelname, place in record.getMessage()) for record in caplog.records] == [("ERROR", True)]

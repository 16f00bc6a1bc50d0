"""The spool on a disk: room is there before it is needed, and answers are found, whatever else lies there."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from support.spooled import LINK, OTHER, VAULT, answer, grow_old, kept
from tokenstore.errors import StorageUnavailable
from tokenstore.store.spool import FORSAKEN, ROOM, FileSpool

TESTS = Path(__file__).resolve().parents[2]


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


def test_answers_are_found_by_link(spool: FileSpool, folder: Path) -> None:
    kept(spool, folder, LINK)
    kept(spool, folder, OTHER)
    assert [found.link_id for found in spool.left_behind(OTHER.id)] == [OTHER.id]
    assert len(spool.left_behind()) == 2


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
        grow_old(each, FORSAKEN)
    spool.reserve(OTHER)
    spool.tidy()
    left = {each.name for each in folder.glob("*")}
    assert (path.name in left, forsaken.name in left, len(left)) == (True, False, 2)


def test_room_of_a_flight_under_way_is_not_cleared_however_old_it_seems(spool: FileSpool, folder: Path) -> None:
    place = spool.reserve(LINK)
    (path,) = folder.glob("*")
    grow_old(path, FORSAKEN)
    FileSpool(folder, VAULT).tidy()
    place.keep(answer())
    assert len(spool.left_behind()) == 1


def test_room_is_cleared_when_the_process_that_reserved_it_is_gone(spool: FileSpool, folder: Path) -> None:
    reserving = "import sys; from support.spooled import *; FileSpool(Path(sys.argv[1]), VAULT).reserve(LINK)"
    subprocess.run([sys.executable, "-c", reserving, str(folder)], cwd=TESTS, check=True, timeout=60)
    (path,) = folder.glob("*")
    grow_old(path, FORSAKEN)
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

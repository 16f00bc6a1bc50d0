"""Counting for `/metrics` where it can fail: over files that several processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FULL_DISK = """
import resource
from tokenstore.web.counters import Counters

counters = Counters()
counters.called("idp1", "refresh", "granted", 0.1)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
counters.breaker("idp1", is_open=True)
counters.handed_out("idp1", cached=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
counters.handed_out("idp1", cached=True)
print(counters.page().decode())
"""


def test_what_cannot_be_counted_on_a_full_disk_does_no_harm(tmp_path: Path) -> None:
    done = run(FULL_DISK, tmp_path)

    assert 'tokenstore_hand_outs_total{cached="true",provider="idp1"} 1.0' in done.stdout
    assert done.stderr.count("nothing new can be counted") == 1


NO_ROOM_AT_THE_START = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
from tokenstore.web.counters import Counters

counters = Counters()
counters.spool_depth(3, 1.5)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
counters.spool_depth(3, 1.5)
print(counters.page().decode())
"""

GROWING = """
from tokenstore.web.counters import Counters

counters = Counters()
for number in range(60):
    counters.called(f"idp{number}", "refresh", "granted", 0.1)
"""

NO_ROOM_TO_GROW = """
import resource
from tokenstore.web.counters import Counters

counters = Counters()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
for number in range(60):
    counters.called(f"idp{number}", "refresh", "granted", 0.1)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for number in range(60):
    counters.called(f"idp{number}", "refresh", "granted", 0.1)
print(counters.page().decode())
"""

NO_ROOM_AFTER_A_FORK = """
import os
import resource
from tokenstore.web.counters import Counters

counters = Counters()
counters.handed_out("idp1", cached=True)
counters.handed_out("idp2", cached=True)
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
counters.handed_out("idp1", cached=True)
counters.handed_out("idp2", cached=True)
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own: the library looks for the folder when it is first imported."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)


def test_a_process_that_begins_on_a_full_disk_counts_when_there_is_room(tmp_path: Path) -> None:
    assert "tokenstore_spool_entries 3.0" in run(NO_ROOM_AT_THE_START, tmp_path).stdout


def test_no_file_has_a_hole_that_a_full_disk_could_make_fatal(tmp_path: Path) -> None:
    run(GROWING, tmp_path)

    found = [file.stat() for file in tmp_path.glob("*.db")]
    assert max(file.st_size for file in found) > 1 << 16
    assert [file.st_size for file in found if file.st_blocks * 512 < file.st_size] == []


def test_a_file_that_found_no_room_to_grow_grows_later(tmp_path: Path) -> None:
    done = run(NO_ROOM_TO_GROW, tmp_path)

    assert done.stdout.count('outcome="granted",provider="idp') > 60
    assert (
        'tokenstore_provider_call_seconds_count{call="refresh",outcome="granted",provider="idp59"} 1.0' in done.stdout
    )
    assert done.stderr.count("nothing new can be counted") == 1


def test_a_fork_on_a_full_disk_does_no_harm(tmp_path: Path) -> None:
    assert "nothing new can be counted" in run(NO_ROOM_AFTER_A_FORK, tmp_path).stderr

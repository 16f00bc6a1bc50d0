"""The keeper beside requests: when it begins, what it does there, and how it comes to its end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from flask import Flask

from support.core_world import UsedNotes
from support.tallies import Tallies
from support.waiting import eventually
from tokenstore.core.model import LinkId
from tokenstore.core.usage import Usage
from tokenstore.keeper.chores import Done
from tokenstore.keeper.loop import Ran, Routine
from tokenstore.keeper.process import Keeper, begin_with_requests

TESTS = Path(__file__).resolve().parents[2]

SCRIPT_BEGINS = """
import os, sys, threading
from uuid import uuid4
from support.core_world import UsedNotes
from support.tallies import Tallies
from tokenstore.core.model import LinkId
from tokenstore.core.usage import Usage
from tokenstore.keeper.chores import Done
from tokenstore.keeper.loop import Routine
from tokenstore.keeper.process import Keeper
"""


@dataclass(slots=True)
class Busy:
    """A chore that tells when it ran and goes on when it may."""

    ran: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    runs: int = 0

    def run(self) -> Done:
        self.runs += 1
        self.ran.set()
        assert self.go_on.wait(30)
        return Done(1)


def idle() -> Busy:
    chore = Busy()
    chore.go_on.set()
    return chore


def keeper_of(own: Busy, shared: Busy, *, embedded: bool = True, usage: Usage | None = None) -> Keeper:
    often = {"every": 0.001, "again": 0.001}
    return Keeper(
        [Routine("own", own, **often)],
        [Routine("shared", shared, **often)],
        usage or Usage(UsedNotes()),
        Tallies(),
        embedded=embedded,
    )


@contextmanager
def begun(keeper: Keeper) -> Iterator[Keeper]:
    keeper.begin()
    try:
        yield keeper
    finally:
        keeper.end()


def keepers() -> list[str]:
    """The names of the keeper's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("keeper-")]


def test_a_serving_process_does_all_if_it_is_to() -> None:
    own, shared = idle(), idle()
    with begun(keeper_of(own, shared)):
        assert own.ran.wait(10)
        assert shared.ran.wait(10)


def test_a_serving_process_does_its_own_part_in_any_case() -> None:
    own, shared = idle(), idle()
    with begun(keeper_of(own, shared, embedded=False)):
        eventually(lambda: own.runs > 3, "several runs")
    assert shared.runs == 0


def test_a_process_of_its_own_does_all_whatever_serving_processes_do() -> None:
    own, shared, ran = idle(), idle(), list[Ran]()
    assert keeper_of(own, shared, embedded=False).foreground(ran.append).run_once()
    assert [one.name for one in ran] == ["own", "shared"]


def test_it_begins_once_however_many_requests_come() -> None:
    keeper = keeper_of(idle(), idle())
    with begun(keeper):
        before = sorted(keepers())
        for _ in range(5):
            keeper.begin()
        assert sorted(keepers()) == before
        assert before.count("keeper-own") == 1


def test_a_stop_lets_the_run_under_way_come_to_its_end_and_writes_uses_down() -> None:
    notes, own, shared, link = UsedNotes(), Busy(), idle(), LinkId(uuid4())
    usage = Usage(notes)
    keeper = keeper_of(own, shared, usage=usage)
    with begun(keeper):
        assert own.ran.wait(10)
        usage.note(link)
        keeper.stop()
        assert notes.batches == []
        own.go_on.set()

    assert own.runs == 1
    assert notes.batches == [{link}]
    assert "keeper-own" not in keepers()


def test_the_end_is_orderly_when_the_last_uses_cannot_be_written() -> None:
    usage = Usage(UsedNotes(down=True))
    usage.note(LinkId(uuid4()))
    keeper = keeper_of(idle(), idle(), usage=usage)
    with begun(keeper):
        pass
    assert "keeper-own" not in keepers()


def test_one_that_never_began_is_stopped() -> None:
    keeper_of(idle(), idle()).end()


def test_nothing_begins_before_the_first_request() -> None:
    own, app = idle(), Flask("served")
    keeper = keeper_of(own, idle())
    begin_with_requests(app, keeper)
    assert own.runs == 0
    try:
        assert app.test_client().get("/").status_code == 404
        assert own.ran.wait(10)
    finally:
        keeper.end()


def run_script(script: str) -> str:
    """What a Python process prints that ends well by itself."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT_BEGINS + script],
        cwd=TESTS,
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_end_of_a_process_waits_for_what_is_under_way() -> None:
    script = """
begun = threading.Event()

class Slow:
    def run(self):
        begun.set()
        threading.main_thread().join()
        print("the run ends")
        return Done(1)

class Notes:
    def used(self, links, at_least):
        print("uses are written")
        return len(links)

usage = Usage(Notes())
keeper = Keeper([Routine("slow", Slow(), every=0.001)], [], usage, Tallies(), embedded=True)
keeper.begin()
usage.note(LinkId(uuid4()))
begun.wait()
print("the main thread ends")
"""
    assert run_script(script).splitlines() == ["the main thread ends", "the run ends", "uses are written"]


def test_it_begins_anew_in_a_process_that_was_forked() -> None:
    script = """
class Tell:
    def __init__(self):
        self.ran = threading.Event()

    def run(self):
        self.pid = os.getpid()
        self.ran.set()
        return Done(0)

chore = Tell()
keeper = Keeper([Routine("tell", chore, every=0.001)], [], Usage(UsedNotes()), Tallies(), embedded=True)
keeper.begin()
chore.ran.wait()
keeper.end()
child = os.fork()
if child == 0:
    chore.ran = threading.Event()
    keeper.begin()
    assert chore.ran.wait(20)
    sys.exit(0 if chore.pid == os.getpid() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_script(script) == "0\n"

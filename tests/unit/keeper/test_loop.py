"""Chores in their rhythms: none holds up another, none is stopped by an error, all come to an end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from support.tallies import Tallies
from support.waiting import eventually
from tokenstore.errors import StorageUnavailable
from tokenstore.keeper.chores import Done
from tokenstore.keeper.loop import Loop, Pace, Ran, Routine

SOON = Pace(uniform=lambda least, _most: least, begin_again=0.001)
"""No run is put off by chance."""


@dataclass(slots=True)
class Scripted:
    """A chore that does what it is told, then nothing; `runs`: how often it ran."""

    script: list[Done | Exception | Callable[[], Done]] = field(default_factory=list)
    runs: int = 0

    def run(self) -> Done:
        self.runs += 1
        step = self.script.pop(0) if self.script else Done(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Done) else step()


def quick(chore: Scripted, name: str = "chore") -> Routine:
    return Routine(name, chore, every=0.001, again=0.001)


def loop_of(*routines: Routine, ran: list[Ran] | None = None) -> tuple[Loop, Tallies]:
    metrics, seen = Tallies(), [] if ran is None else ran
    return Loop(routines, metrics, seen.append, SOON), metrics


@contextmanager
def running(loop: Loop) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield thread
    finally:
        loop.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_a_chore_is_run_again_and_again() -> None:
    chore = Scripted()
    with running(loop_of(quick(chore))[0]):
        eventually(lambda: chore.runs > 3, "several runs")


@pytest.mark.parametrize("error", [StorageUnavailable("down"), ZeroDivisionError()])
def test_an_error_ends_neither_the_chore_nor_the_others(error: Exception) -> None:
    failing, other = Scripted([error, error]), Scripted()
    loop, metrics = loop_of(quick(failing, "failing"), quick(other, "other"))

    with running(loop):
        eventually(lambda: failing.runs > 3 and other.runs > 3, "runs after the errors")

    assert metrics.chores.count(("failing", True)) == 2
    assert ("other", True) not in metrics.chores


def test_a_slow_chore_holds_up_no_other() -> None:
    go_on = threading.Event()

    def slowly() -> Done:
        go_on.wait(10)
        return Done(1)

    other = Scripted()
    with running(loop_of(quick(Scripted([slowly])), quick(other))[0]):
        eventually(lambda: other.runs > 3, "runs of the other")
        go_on.set()


def test_after_stop_the_run_under_way_comes_to_its_end_and_nothing_begins() -> None:
    begun, go_on, ran = threading.Event(), threading.Event(), list[Ran]()

    def slowly() -> Done:
        begun.set()
        go_on.wait(10)
        return Done(7, more=True)

    chore = Scripted([slowly])
    loop, _ = loop_of(quick(chore), ran=ran)
    with running(loop) as thread:
        assert begun.wait(10)
        loop.stop()
        assert thread.is_alive()
        go_on.set()
        thread.join(10)

    assert (chore.runs, [one.done for one in ran]) == (1, [Done(7, more=True)])


def test_one_that_left_something_is_run_soon_and_one_that_did_not_in_its_time() -> None:
    busy, idle = Scripted([Done(1, more=True)] * 5), Scripted()
    routines = Routine("busy", busy, every=3600, again=0.001), Routine("idle", idle, every=3600)
    with running(loop_of(*routines)[0]):
        eventually(lambda: busy.runs == 6 and idle.runs == 1, "all that is left")


def test_run_once_does_all_that_can_be_done() -> None:
    first, second, ran = Scripted([Done(4, more=True), Done(4, more=True), Done(1)]), Scripted([Done(2)]), list[Ran]()
    loop, metrics = loop_of(quick(first, "first"), quick(second, "second"), ran=ran)

    assert loop.run_once()
    assert [(one.name, one.done and one.done.count) for one in ran] == [
        ("first", 4),
        ("first", 4),
        ("first", 1),
        ("second", 2),
    ]
    assert metrics.chores == [("first", False)] * 3 + [("second", False)]


def test_run_once_goes_on_after_an_error_and_tells() -> None:
    second = Scripted()
    loop, _ = loop_of(quick(Scripted([StorageUnavailable("down")])), quick(second))
    assert not loop.run_once()
    assert second.runs == 1


def test_run_once_tells_of_what_failed_within_a_run() -> None:
    chore = Scripted([Done(4, more=True, failed=1), Done(2)])
    assert not loop_of(quick(chore))[0].run_once()
    assert chore.runs == 2


def test_a_report_that_fails_ends_no_chore() -> None:
    def broken(_ran: Ran) -> None:
        raise BrokenPipeError

    chore = Scripted()
    with running(Loop([quick(chore)], Tallies(), broken, SOON)):
        eventually(lambda: chore.runs > 3, "several runs")


def test_a_chore_that_gets_no_thread_begins_later_and_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, start, refused = Scripted(), Scripted(), threading.Thread.start, list[str]()

    def short_of_threads(thread: threading.Thread) -> None:
        if thread.name == "keeper-first" and len(refused) < 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", short_of_threads)
    with running(loop_of(quick(first, "first"), quick(second, "second"))[0]):
        eventually(lambda: first.runs > 3 and second.runs > 3, "several runs of both")
    assert len(refused) == 3


def test_run_once_does_not_repeat_what_can_do_nothing_at_present() -> None:
    chore = Scripted([Done(0, more=True)] * 3)
    assert loop_of(quick(chore))[0].run_once()
    assert chore.runs == 1


def test_run_once_stops_when_told_to() -> None:
    loop, _ = loop_of()
    chore = Scripted([Done(1, more=True)] * 9)

    def stopping() -> Done:
        loop.stop()
        return Done(1, more=True)

    loop, _ = loop_of(quick(Scripted([stopping])), quick(chore))
    assert loop.run_once()
    assert chore.runs == 0

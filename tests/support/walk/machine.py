"""The random walk: a machine of hypothesis whose rules begin, go on with, and kill operations of a `World`."""

from __future__ import annotations

import sys
from operator import methodcaller

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, invariant, precondition, rule
from typing_extensions import override

from support.walk.provider import FATES
from support.walk.world import ACCOUNTS, CHORES, MACHINES, Stage, World
from tokenstore.core.confirming import Choice

STEPS = 25

processes = st.integers(0, len(MACHINES) - 1)
subjects = st.sampled_from(["ada-1", *ACCOUNTS])
calls = st.one_of(st.none(), st.integers(1, 9))
"""After how many calls of ports an operation is left standing; None: it is let through to its end."""

# Apart from every limit of the protocol: leases 20 s, patience with other machines 90 s, grace 60 s, answers that wait
# for the person 10 min, margin 6 min before the end of a token's hour.
spans = st.sampled_from([3, 10, 32, 75, 130, 700, 3300, 4000, 90000])
LATE = [0, 0, 0, 35, 3300, 4000]
"""How long before somebody asks; a refresh is forced no sooner than 30 s after the last."""

Act = str | int
acts: st.SearchStrategy[list[Act]] = st.lists(
    st.sampled_from(["get", "get", "unlink", "link", "refresh", "spool", "go on", "go on", "crash", 10, 32, 130]),
    min_size=1,
    max_size=4,
)
"""What happens while something stands; a number: so many seconds pass."""

choices = st.sampled_from([Choice.ADD, Choice.REPLACE, Choice.CANCEL, None])


class Walk(RuleBasedStateMachine):
    """Whatever happens in whatever order."""

    at: Stage
    rotation: str
    revokes_grant: bool

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.at, self.rotation, revokes_grant=self.revokes_grant)

    @initialize(further=st.sets(st.sampled_from(["ada-2", "bob-1"])))
    def begin_linked(self, further: set[str]) -> None:
        for subject in ["ada-1", *sorted(further)]:
            self.world.begin(0, methodcaller("link", subject, Choice.ADD), None)

    @rule(process=processes, subject=subjects, force=st.booleans(), calls=calls, late=st.sampled_from(LATE))
    def get(self, process: int, subject: str, force: bool, calls: int | None, late: int) -> None:
        if late:
            self.world.pass_by(late)
        self.world.begin(process, lambda host: host.get(subject, force=force), calls)

    @rule(process=processes, subject=subjects, calls=calls)
    def unlink(self, process: int, subject: str, calls: int | None) -> None:
        self.world.begin(process, lambda host: host.unlink(subject), calls)

    @rule(process=processes, subject=subjects, choice=choices, calls=calls)
    def link(self, process: int, subject: str, choice: Choice | None, calls: int | None) -> None:
        self.world.begin(process, lambda host: host.link(subject, choice), calls)

    @rule(process=processes, chore=st.sampled_from(CHORES), calls=calls)
    def keep(self, process: int, chore: str, calls: int | None) -> None:
        self.world.begin(process, lambda host: host.keep(chore), calls)

    @rule(process=processes, subject=subjects, calls=st.integers(4, 10), acts=acts, other=processes)
    def refresh_meanwhile(self, process: int, subject: str, calls: int, acts: list[Act], other: int) -> None:
        self.world.pass_by(35)
        self.world.begin(process, lambda host: host.get(subject, force=True), calls)
        self._do(acts, subject, process, other)

    @rule(process=processes, subject=subjects, calls=st.integers(6, 16), acts=acts, other=processes)
    def link_meanwhile(self, process: int, subject: str, calls: int, acts: list[Act], other: int) -> None:
        self.world.begin(process, lambda host: host.link(subject, Choice.ADD), calls)
        self._do(acts, subject, process, other)

    def _do(self, acts: list[Act], subject: str, process: int, other: int) -> None:
        """All of this in another process, or to the one in which something stands."""
        for act in acts:
            match act:
                case "get":
                    self.world.begin(other, lambda host: host.get(subject, force=True), None)
                case "unlink":
                    self.world.begin(other, lambda host: host.unlink(subject), None)
                case "link":
                    self.world.begin(other, lambda host: host.link(subject, Choice.ADD), None)
                case "refresh" | "spool":
                    self.world.begin(other, methodcaller("keep", act), None)
                case "go on":
                    for mover in self.world.movers:
                        mover.go()
                    self.world.sweep()
                case "crash":
                    self.world.crash(process)
                    self.world.start(process)
                case int():
                    self.world.pass_by(act)

    @precondition(lambda self: self.world.movers)
    @rule(which=st.integers(0, 5), calls=st.one_of(st.none(), st.integers(0, 9)))
    def go_on(self, which: int, calls: int | None) -> None:
        self.world.movers[which % len(self.world.movers)].go(calls)
        self.world.sweep()

    @rule(process=processes)
    def crash_or_start(self, process: int) -> None:
        """A process that is dead stays so for a while."""
        if self.world.processes[process].dead:
            self.world.start(process)
        else:
            self.world.crash(process)

    @rule(seconds=spans)
    def let_pass(self, seconds: int) -> None:
        self.world.pass_by(seconds)

    @rule(fate=st.sampled_from(FATES))
    def next_call(self, fate: str) -> None:
        self.world.idp.fates.append(fate)

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not self.world.deviations, "; ".join(self.world.deviations)

    @override
    def teardown(self) -> None:
        """In the end everything comes to its end, unless something is wrong already."""
        try:
            if sys.exc_info()[0] is None:
                self.world.settle()
                assert not self.world.deviations, "; ".join(self.world.deviations)
        finally:
            self.world.close()


def walk(at: Stage, rotation: str, *, revokes_grant: bool, runs: int, number: int, shrink: bool = False) -> None:
    """So many runs, always the same ones for this number; `shrink`: look for the shortest that fails, for minutes.

    Raises AssertionError, with the run that fails.
    """
    machine = type("Walk", (Walk,), {"at": at, "rotation": rotation, "revokes_grant": revokes_grant})
    how = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    made = seed(number)(get_state_machine_test(machine, settings=how))
    made()

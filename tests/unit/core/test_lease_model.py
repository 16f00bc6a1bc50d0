"""The protocol as a small model, explored exhaustively: lease, spool and fence of one link on two machines.

What the model takes for granted is what the constants promise: a call ends before its lease does, as
`test_refresh_leases.py` shows; a machine that lives has put its answer into the database before another one stops
waiting for it. What it does not take for granted is tried in every order: two crashes, leases that end, callers
anywhere, an unlinking at any moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache

import pytest

NODES = (0, 1)
CRASHES = 2


class At(Enum):
    """Where the flight of a machine is."""

    IDLE = "idle"
    LEASED = "leased"  # P0
    ANSWERED = "answered"  # P2 to P4: the provider has rotated
    SPOOLED = "spooled"  # P4 to P5
    REFUSED = "refused"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: its flight with the version and token that it leased, and its answer in memory or spool."""

    at: At = At.IDLE
    version: int = 0
    token: int = 0
    answer: int = 0
    spool: tuple[int, int] | None = None  # base version, new token


@dataclass(frozen=True, slots=True)
class World:
    """Everything. Tokens are numbered as the provider gives them; 0 is none.

    `lease`: whose it is; `lapsed`: 1 for its own machine, 2 for all. `accepted`: the versions at which the provider
    accepted a token. `excused`: a loss that nobody can prevent has happened. `owed`: tokens to be revoked.
    """

    machines: tuple[Machine, Machine] = (Machine(), Machine())
    version: int = 1
    token: int = 1
    fresh: bool = False
    state: str = "active"
    lease: int | None = None
    lapsed: int = 0
    newest: int = 1
    used: frozenset[int] = frozenset()
    dead_family: bool = False
    accepted: tuple[int, ...] = ()
    crashes: int = 0
    unlinked: bool = False
    excused: bool = False
    owed: frozenset[int] = frozenset()

    def with_machine(self, node: int, machine: Machine) -> World:
        machines = list(self.machines)
        machines[node] = machine
        return replace(self, machines=(machines[0], machines[1]))

    def free(self) -> World:
        return replace(self, lease=None, lapsed=0)


def steps(world: World, *, strict: bool) -> Iterator[World]:
    """All that can happen next."""
    for node in NODES:
        yield from of_machine(world, node, strict=strict)
    if not world.unlinked:
        owed = world.owed | ({world.token} if world.state != "revoked" else set())
        gone = replace(world, state="revoked", version=world.version + 1, unlinked=True, owed=owed, token=0)
        yield gone.free()
    if world.lease is not None and world.lapsed < 2:
        yield from lapses(world)


def lapses(world: World) -> Iterator[World]:
    """The lease ends: of a machine whose call is over or that is dead."""
    assert world.lease is not None
    holder = world.machines[world.lease]
    if world.lapsed == 0 and holder.at is not At.LEASED:
        yield replace(world, lapsed=1)
    if world.lapsed == 1 and (holder.at in {At.IDLE, At.DEAD} and (holder.spool is None or holder.at is At.DEAD)):
        # Gone for so long with an answer in its spool: nobody can wait for ever.
        yield replace(world, lapsed=2, excused=world.excused or holder.spool is not None)


def of_machine(world: World, node: int, *, strict: bool) -> Iterator[World]:
    """What this machine can do, and its crash."""
    me = world.machines[node]
    if me.at is At.DEAD:
        yield world.with_machine(node, replace(Machine(), spool=me.spool))
        return
    if world.crashes < CRASHES and me.at is not At.IDLE:
        # Between rotation and spool the new token is nowhere, and only the old one can bring it back.
        lost = me.at is At.ANSWERED
        dead = Machine(At.DEAD, spool=me.spool)
        yield replace(world.with_machine(node, dead), crashes=world.crashes + 1, excused=world.excused or lost)
    if me.at is At.IDLE and me.spool is not None:
        base, token = me.spool
        done = world.with_machine(node, Machine())
        yield saved(done, base, token) if base == world.version and world.state != "revoked" else missed(done, token)
    elif me.at is At.IDLE and may_lease(world, node):
        leased = Machine(At.LEASED, world.version, world.token)
        yield replace(world.with_machine(node, leased), lease=node, lapsed=0)
    elif me.at is At.LEASED:
        yield sent(world, node, strict=strict)
    elif me.at is At.ANSWERED:
        yield world.with_machine(node, replace(me, at=At.SPOOLED, spool=(me.version, me.answer)))
    elif me.at is At.SPOOLED:
        done = world.with_machine(node, Machine())
        same = me.version == world.version and world.state != "revoked"
        yield saved(done, me.version, me.answer) if same else missed(done, me.answer)
    elif me.at is At.REFUSED:
        done = world.with_machine(node, Machine())
        ours = me.version == world.version and world.lease == node
        yield refused(done) if ours else done


def may_lease(world: World, node: int) -> bool:
    """One statement: a state that can be refreshed, and nobody at it."""
    if world.fresh or world.state not in {"active", "suspect"}:
        return False
    return world.lease is None or world.lapsed == 2 or (world.lapsed == 1 and world.lease == node)


def sent(world: World, node: int, *, strict: bool) -> World:
    """The provider gets the token: it rotates, gives the newest again within the grace, or ends the family."""
    me = world.machines[node]
    if world.dead_family or (strict and me.token in world.used):
        return replace(world.with_machine(node, replace(me, at=At.REFUSED)), dead_family=True)
    new = world.newest if me.token in world.used else world.newest + 1
    first = () if me.token in world.used else (me.version,)
    answered = world.with_machine(node, replace(me, at=At.ANSWERED, answer=new))
    return replace(answered, newest=new, used=world.used | {me.token}, accepted=(*world.accepted, *first))


def saved(world: World, base: int, token: int) -> World:
    """Behind the fence: the version is the one of the lease."""
    assert base == world.version
    return replace(world, version=base + 1, token=token, fresh=True, state="active").free()


def missed(world: World, token: int) -> World:
    """The fence was missed: revoked if the link is gone, else kept aside or known already."""
    return replace(world, owed=world.owed | {token}) if world.state == "revoked" else world


def refused(world: World) -> World:
    """The first no makes the link suspect, the second breaks it."""
    return replace(world, state="broken" if world.state == "suspect" else "suspect").free()


@cache
def explored(*, strict: bool) -> dict[World, tuple[World, ...]]:
    """Every world that can come about, with what can follow."""
    begin = World()
    found: dict[World, tuple[World, ...]] = {}
    waiting = deque([begin])
    while waiting:
        world = waiting.popleft()
        if world in found:
            continue
        found[world] = tuple(steps(world, strict=strict))
        waiting.extend(found[world])
    return found


both = pytest.mark.parametrize("strict", [True, False], ids=["strict", "grace"])


@both
def test_no_version_sees_more_than_one_accepted_rotation(strict: bool) -> None:
    assert all(len(set(world.accepted)) == len(world.accepted) for world in explored(strict=strict))


@both
def test_every_run_ends_fresh_broken_or_revoked(strict: bool) -> None:
    worlds = explored(strict=strict)
    ends = {world for world, after in worlds.items() if settled(world) or not after}
    assert all(settled(world) for world in ends)
    # From everywhere such an end can be reached.
    before: dict[World, list[World]] = {}
    for world, after in worlds.items():
        for following in after:
            before.setdefault(following, []).append(world)
    reaching, waiting = set(ends), list(ends)
    while waiting:
        for earlier in before.get(waiting.pop(), []):
            if earlier not in reaching:
                reaching.add(earlier)
                waiting.append(earlier)
    assert reaching == set(worlds)


@both
def test_a_link_is_lost_only_where_nobody_can_keep_it(strict: bool) -> None:
    lost = {world for world in explored(strict=strict) if world.dead_family or world.state == "broken"}
    assert all(world.excused for world in lost)
    assert bool(lost) == strict


@both
def test_a_fresh_link_has_the_token_that_the_provider_takes(strict: bool) -> None:
    for world in explored(strict=strict):
        if world.fresh and world.state == "active" and not world.dead_family:
            assert world.token == world.newest


@both
def test_nothing_is_left_alive_after_an_unlinking(strict: bool) -> None:
    for world in explored(strict=strict):
        if world.state == "revoked" and all(machine == Machine() for machine in world.machines):
            assert world.excused or world.newest in world.owed


def settled(world: World) -> bool:
    """Whether nothing of the link is under way and it has come to an end."""
    return (world.fresh or world.state in {"broken", "revoked"}) and all(
        machine.at in {At.IDLE, At.DEAD} for machine in world.machines
    )

"""Three processes on two machines, one database, one provider, two people: the real services over stopping ports.

Owns time, what is known of every link, and what has to be true in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import delete, event, select

from support.core_world import provider as make_provider
from support.fake_gate import FakeGate
from support.harness import SqlHarness
from support.link_services import link_services
from support.passing import move_back
from support.stores import SqlStores, sql_stores
from support.tallies import Tallies
from support.walk.movers import Mover, MovingFlights, Stopping, current_mover
from support.walk.provider import RotatingProvider, Token
from tokenstore.core.confirming import Choice
from tokenstore.core.model import (
    Callback,
    Caller,
    CallerKind,
    HandOut,
    Identity,
    Link,
    Profile,
    Provider,
    Respect,
    Rotation,
    RotationKind,
    TokenSet,
)
from tokenstore.core.places import Places
from tokenstore.core.policy import Policy
from tokenstore.core.ports import Waiting
from tokenstore.core.refresh import Calling, Keeping, Recovery, Refresher, Timing
from tokenstore.core.registry import Registry
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import TokenService
from tokenstore.core.usage import Usage
from tokenstore.keeper.chores import Chore, GiveBack, PayOwed, Purge, ReplaySpool
from tokenstore.keeper.refreshing import LookAfter
from tokenstore.store.due import SqlDueLinks, SqlUsedLinks
from tokenstore.store.provider_facts import SqlProviderFacts
from tokenstore.store.purge import SqlPurge
from tokenstore.store.spool import FileSpool
from tokenstore.store.tables import link_waiting, metadata, outbox, vault_key

LOGIN = "https://login.example"
ACCOUNTS = {"ada-1": Identity(LOGIN, "ada"), "ada-2": Identity(LOGIN, "ada"), "bob-1": Identity(LOGIN, "bob")}
"""Accounts at the provider, and whose they are."""

MACHINES = ("east", "east", "west")
"""On which machine each process is."""

CHORES = ("spool", "refresh", "outbox", "waiting", "purge")
ROTATIONS = {
    "strict": Rotation(),
    "grace": Rotation(RotationKind.GRACE, timedelta(seconds=60)),
    "keep-old": Rotation(RotationKind.KEEP_OLD),
    "none": Rotation(RotationKind.NONE),
}
KEEPING = frozenset(
    {"keep", "save_refreshed", "save_rotation", "settle_superseded", "attach", "swap", "queue_revocation", "save"}
)
"""Calls of ports after which a refresh token is on a disk."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A database with its tables, and a folder for spools, on which one world after another is made."""

    stores: SqlStores
    folder: Path

    def clear(self) -> None:
        """Forget everything but the data keys."""
        with self.stores.database.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not vault_key:
                    connection.execute(delete(table))


@contextmanager
def stage(url: str, folder: Path) -> Iterator[Stage]:
    """A stage on an empty database. Nobody pulls the plug here, so SQLite need not wait for the disk."""
    with sql_stores(url) as stores:
        if stores.engine.dialect.name == "sqlite":
            event.listen(stores.engine, "checkout", _in_no_fear)
        yield Stage(stores, folder)


def _in_no_fear(connection: Any, *_: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


class World:
    """All of it. `deviations`: what was seen that must not be."""

    def __init__(self, at: Stage, rotation: str, *, revokes_grant: bool) -> None:
        at.clear()
        self.deviations: list[str] = []
        self.stores = at.stores
        self.database = at.stores.database
        self.provider = make_provider(rotation=ROTATIONS[rotation], revokes_grant=revokes_grant)
        self.idp = RotatingProvider(self.now, self.deviations.append)
        self.movers: list[Mover] = []
        self.given: list[HandOut] = []
        self._ahead = 0.0
        self._folder = TemporaryDirectory(dir=at.folder)
        self.processes = [Process(self, machine, Path(self._folder.name) / machine) for machine in MACHINES]
        for person in set(ACCOUNTS.values()):
            self.stores.users.remember(Profile(person, person.subject))

    def now(self) -> float:
        """Monotonic seconds, everywhere."""
        return time.monotonic() + self._ahead

    def today(self) -> datetime:
        """The time of day on all machines."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds
        with self.database.writing() as connection:
            move_back(connection, timedelta(seconds=seconds))

    def begin(self, process: int, work: Callable[[Process], object], calls: int | None) -> None:
        """Begin something in a process that lives, and let it make so many calls, or all."""
        host = self.processes[process]
        if not host.dead:
            host.begin(lambda: work(host)).go(calls)
            self.sweep()

    def sweep(self) -> None:
        """Let go of movers that are done; what they ended in that they may not is a deviation."""
        for mover in self.movers:
            if mover.error is not None:
                self.deviations.append(f"{type(mover.error).__name__}: {mover.error}")
        self.movers = [mover for mover in self.movers if not mover.done]

    def crash(self, process: int) -> None:
        """Kill a process; what it alone knew is lost."""
        host = self.processes[process]
        host.dead = True
        for mover in [one for one in self.movers if one.host is host]:
            mover.go()
        for token in self.idp.tokens.values():
            token.lost |= token.holder is not None and token.holder.host is host and not token.safe
        self.sweep()

    def start(self, process: int) -> None:
        """Start a process again that was killed."""
        old = self.processes[process]
        if old.dead:
            self.processes[process] = Process(self, old.machine, old.folder)

    def links(self) -> list[Link]:
        """All links that are not revoked."""
        return [one.link for person in set(ACCOUNTS.values()) for one in self.stores.links.standings(person)]

    def link(self, subject: str) -> Link | None:
        """The link to this account."""
        return next((one for one in self.links() if one.account.subject == subject), None)

    def handed_out(self, user: Identity, given: HandOut) -> None:
        """Somebody has got a token just now."""
        self.given.append(given)
        family = self.idp.access[given.token.value.reveal()]
        found = next((one for one in self.links() if one.id == given.link_id), None)
        if ACCOUNTS[family.subject] != user:
            self.deviations.append(f"{user.subject} was given a token of {family.subject}")
        elif found is None or family.ended:
            self.deviations.append(f"a token of {family.subject} was given out after the unlinking")
        elif found.account.subject != family.subject:
            self.deviations.append(f"a token of {family.subject} was given out for {found.account.subject}")

    def did(self, call: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Note which tokens are safe now, and which links are there."""
        for token in self._kept(call, arguments, result):
            token.safe, token.lost = True, False
            token.safe_at = min(token.safe_at, self.now())
            if call != "keep":
                token.saved_at = min(token.saved_at, self.now())
        match call:
            case "take_lease" | "take_due" if result:
                current_mover().leased_at = self.now()
            case "queue_revocation" if result is None:  # let go, as a link may rest on its grant
                self.idp.tokens[arguments[2].reveal()].lost = True
            case "attach" | "swap":
                self._end(arguments[0].account.subject)
                self.idp.access[arguments[0].tokens.access_token.reveal()].attached = True
                for gone in result.removed if call == "swap" else ():
                    self._end(gone.link.account.subject)
            case "unlink":
                for gone in result:
                    self._end(gone.link.account.subject)

    def settle(self) -> None:
        """Let everything come to its end, as processes and keepers do in a while, and look at what is there then."""
        self.idp.fates.clear()
        for number in range(len(self.processes)):
            self.start(number)
        self._finish()
        for _ in range(2):
            self._keep(("spool",))
        for _ in range(12):
            self._keep(CHORES)
            if not self._pending():
                break
            self.pass_by(1000)
        self.pass_by(1000)
        self._keep(CHORES)
        self._verify()

    def close(self) -> None:
        """End all threads and remove all files."""
        for number in range(len(self.processes)):
            self.crash(number)
        for host in self.processes:
            host.close()
        self._folder.cleanup()

    def _finish(self) -> None:
        while self.movers:
            for mover in list(self.movers):
                mover.go()
            self.sweep()

    def _keep(self, chores: Sequence[str]) -> None:
        for number in range(len(self.processes)):
            for chore in chores:
                for _ in range(4 if chore == "refresh" else 1):
                    self.begin(number, methodcaller("keep", chore), None)
        self._finish()

    def _pending(self) -> bool:
        with self.database.reading() as connection:
            rows = [connection.execute(select(table.c.id)).first() for table in (outbox, link_waiting)]
        spooled = any(host.spooled() for host in self.processes)
        return spooled or any(row is not None for row in rows)

    def _verify(self) -> None:
        if self._pending():
            self.deviations.append("something is never done")
        for one in self.links():
            self._verify_link(one.account.subject)
        held = {token.value for one in self.links() if (token := self._token_of(one)) is not None}
        for token in self.idp.live():
            if token.value not in held and not (token.lost or token.family.excused or self._goes_on(token)):
                self.deviations.append(f"{token.value} of {token.family.subject} lives, and no link has it")

    def _verify_link(self, subject: str) -> None:
        """A link gives a new token, unless it was lost where nobody could keep it."""
        before, families = len(self.given), [one for one in self.idp.families if one.subject == subject]
        self.begin(0, lambda host: host.get(subject, force=True), None)
        self._finish()
        if len(self.given) == before and not any(one.excused for one in families if one.attached and not one.ended):
            self.deviations.append(f"the link to {subject} is lost")

    def _token_of(self, held: Link) -> Token | None:
        base = self.stores.links.base(held.id)
        return self.idp.tokens[base.refresh_token.reveal()] if base and base.refresh_token else None

    def _goes_on(self, token: Token) -> bool:
        """Whether a token will end with the link to its account, as revoking one ends all."""
        return self.provider.revokes_grant and self.link(token.family.subject) is not None

    def _end(self, subject: str) -> None:
        for family in self.idp.families:
            family.ended |= family.attached and family.subject == subject

    def _kept(self, call: str, arguments: tuple[Any, ...], result: Any) -> Iterator[Token]:
        """The refresh tokens that this call brought to safety."""
        if call in {"save_refreshed", "save_rotation"} and not result:
            return
        if call not in KEEPING:
            return
        for argument in arguments:
            received = argument if isinstance(argument, TokenSet | Secret) else getattr(argument, "tokens", None)
            token = received.refresh_token if isinstance(received, TokenSet) else received
            found = self.idp.tokens.get(token.reveal()) if isinstance(token, Secret) else None
            if found is not None:
                yield found


class Process:
    """A process of a machine, with services of its own."""

    def __init__(self, world: World, machine: str, folder: Path) -> None:
        self.machine = machine
        self.folder = folder
        self.dead = False
        self._world = world
        self._spool = FileSpool(folder, world.stores.vault)
        self._places: list[Any] = []
        self._services()

    def now(self) -> float:
        return self._world.now()

    def did(self, call: str, arguments: tuple[Any, ...], result: Any) -> None:
        if call == "reserve":
            self._places.append(result)
        self._world.did(call, arguments, result)

    def begin(self, work: Callable[[], object]) -> Mover:
        """Something that is done here."""
        mover = Mover(self, work)
        self._world.movers.append(mover)
        return mover

    def get(self, subject: str, *, force: bool) -> None:
        """Somebody asks for the token of an account, or of the default one if it was never linked."""
        user, held = ACCOUNTS[subject], self._world.link(subject)
        given = self._tokens.fresh_token(
            Caller(CallerKind.BEARER, user), self._world.provider.id, link_id=held.id if held else None, force=force
        )
        self._world.handed_out(user, given)

    def unlink(self, subject: str) -> None:
        """Somebody unlinks an account."""
        held = self._world.link(subject)
        if held is not None:
            self._linking.unlinking.unlink(self._session(subject), link_id=held.id)

    def link(self, subject: str, choice: Choice | None) -> None:
        """Somebody links an account; asked about a further one, this is what they say, or nothing."""
        session, provider_id = self._session(subject), self._world.provider.id
        state = self._linking.linking.begin(session, provider_id, "/").location
        callback = Callback({"state": (state,), "code": (subject,)})
        made = self._linking.completing.complete(session, provider_id, callback)
        if isinstance(made, Waiting) and choice is not None:
            question = self._linking.confirmations.question(session, made.id)
            instead_of = next((one.id for one in question.linked), None)
            self._linking.confirmations.decide(session, made.id, choice, instead_of)

    def keep(self, chore: str) -> None:
        """One of the keeper's chores."""
        self._chores[chore].run()

    def spooled(self) -> bool:
        """Whether answers wait on this machine."""
        return bool(self._spool.left_behind())

    def close(self) -> None:
        """Let go of the files."""
        for place in self._places:
            place.close()

    def _session(self, subject: str) -> Caller:
        user = ACCOUNTS[subject]
        return Caller(CallerKind.SESSION, user, session_key=f"session of {user.subject}")

    def _services(self) -> None:
        """As `composing` puts them together."""
        world, registry, metrics, gate = self._world, Registry([self._world.provider]), Tallies(), FakeGate()
        stores = SqlHarness.over(world.stores)

        def stopping(port: object) -> Any:
            return Stopping(port, self)

        links, client, spool = stopping(stores.links), stopping(world.idp), stopping(self._spool)
        ports = replace(
            stores,
            users=stopping(stores.users),
            links=links,
            attempts=stopping(stores.attempts),
            audit=stopping(stores.audit),
            outbox=stopping(stores.outbox),
            waiting=stopping(stores.waiting),
            quarantines=stopping(stores.quarantines),
        )
        facts = SqlProviderFacts(world.database)
        # Nobody waits: for a revocation people are told to come again, and places there are enough.
        self._linking = link_services(ports, facts, client, world.provider, places=Places(1000), patience_seconds=0)
        revoker = self._linking.revoker
        timing = Timing(world.now, self._sleep, lambda _least, most: most, world.today)
        keeping = Keeping(links, revoker, metrics, timing)
        recovery = Recovery(registry, links, spool, keeping)
        refresher = Refresher(
            links,
            ports.quarantines,
            Calling(client, timing),
            keeping,
            recovery,
            spool,
            facts,
            revoker,
            metrics,
            timing,
            wait_seconds=0.3,
        )
        self._tokens = TokenService(
            registry,
            Policy(),
            links,
            refresher,
            MovingFlights(begin=self.begin),
            gate,
            Usage(SqlUsedLinks(world.database)),
            metrics,
            wait_seconds=2,
        )
        due: Any = OneByOne(SqlDueLinks(world.database, world.stores.vault), self)
        self._chores: dict[str, Chore] = {
            "spool": ReplaySpool(recovery),
            "refresh": LookAfter(
                world.provider,
                due,
                refresher,
                recovery,
                spool,
                gate,
                metrics,
                unused=timedelta(days=30),
                monotonic=world.now,
            ),
            "outbox": PayOwed(revoker, registry, gate),
            "waiting": GiveBack(self._linking.asker),
            "purge": Purge(stopping(SqlPurge(world.database)), metrics),
        }

    def _sleep(self, seconds: float) -> None:
        current_mover().come_to("sleeping")
        self._world.pass_by(seconds)


class OneByOne(Stopping):
    """Due links, one at a time: then none is looked after in a thread that is no mover."""

    def take_due(self, provider: Provider, owner: str, _limit: int, respect: Respect) -> Any:
        taken = self.__getattr__("take_due")
        return taken(provider, owner, 1, respect)

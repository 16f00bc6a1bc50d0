"""What every LoginStore promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

import pytest
from sqlalchemy import select

from support.harness import ANN, BOB, in_parallel
from support.logins import IDLE, LIFETIME, FakeLogins
from support.passing import move_back
from support.stores import SqlStores, sql_stores
from tokenstore.core.model import AuditEvent, Identity, LogoutNotice
from tokenstore.core.ports import LoginStore
from tokenstore.errors import PolicyDenied
from tokenstore.store.logins import SqlLoginStore
from tokenstore.store.tables import audit_event, login, logout_notice
from tokenstore.store.user_admin import UserAdmin

MOMENT = timedelta(minutes=2)
KEEP = timedelta(minutes=15)
ENDED = AuditEvent("login.ended", "success", user=ANN.identity, reason="test")
SAID = AuditEvent("login.ended", "success", reason="test")


class Scene(Protocol):
    """A store with Ann and Bob, and what tests may do behind its back."""

    @property
    def logins(self) -> LoginStore: ...

    def let_pass(self, time: timedelta) -> None: ...
    def disable(self, identity: Identity) -> None: ...
    def events(self) -> list[str | None]:
        """The subject of each event, in no order."""


@dataclass(frozen=True, slots=True)
class FakeScene:
    logins: FakeLogins

    def let_pass(self, time: timedelta) -> None:
        self.logins.now += time

    def disable(self, identity: Identity) -> None:
        self.logins.disabled.add(identity)

    def events(self) -> list[str | None]:
        return [event.user.subject if event.user else None for event in self.logins.events]


@dataclass(frozen=True, slots=True)
class SqlScene:
    stores: SqlStores
    logins: SqlLoginStore

    def let_pass(self, time: timedelta) -> None:
        with self.stores.database.writing() as connection:
            move_back(connection, time, (login, logout_notice))

    def disable(self, identity: Identity) -> None:
        assert UserAdmin(self.stores.database).disable(identity)

    def events(self) -> list[str | None]:
        statement = select(audit_event.c.user_subject).where(audit_event.c.action == "login.ended")
        with self.stores.database.reading() as connection:
            return list(connection.scalars(statement))


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "fake":
        yield FakeScene(FakeLogins())
        return
    url = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    with sql_stores(url) as stores:
        for profile in (ANN, BOB):
            stores.users.remember(profile)
        yield SqlScene(stores, SqlLoginStore(stores.database, idle=IDLE, lifetime=LIFETIME))


def notice(number: int = 1, subject: str | None = None, sid: str | None = None) -> LogoutNotice:
    return LogoutNotice(ANN.identity.issuer, f"jti-{number}", subject, sid)


def test_a_login_is_its_holders(scene: Scene) -> None:
    login_id = scene.logins.begin(ANN.identity, "sid-1", "Firefox on Linux")
    assert scene.logins.holder(login_id) == ANN.identity
    (kept,) = scene.logins.logins(ANN.identity)
    assert (kept.id, kept.agent, kept.ends_at - kept.created_at) == (login_id, "Firefox on Linux", IDLE)


def test_an_unknown_login_is_nobodys(scene: Scene) -> None:
    assert scene.logins.holder(uuid4()) is None


def test_logins_of_others_are_not_listed(scene: Scene) -> None:
    scene.logins.begin(BOB.identity, None, None)
    assert scene.logins.logins(ANN.identity) == []


def test_the_login_seen_last_comes_first(scene: Scene) -> None:
    first = scene.logins.begin(ANN.identity, None, None)
    scene.let_pass(MOMENT)
    second = scene.logins.begin(ANN.identity, None, None)
    scene.let_pass(MOMENT)
    assert [one.id for one in scene.logins.logins(ANN.identity)] == [second, first]
    scene.logins.holder(first)
    assert [one.id for one in scene.logins.logins(ANN.identity)] == [first, second]


def test_a_login_ends_when_it_is_not_seen(scene: Scene) -> None:
    login_id = scene.logins.begin(ANN.identity, None, None)
    scene.let_pass(IDLE)
    assert (scene.logins.holder(login_id), scene.logins.logins(ANN.identity)) == (None, [])


def test_a_login_that_is_seen_lives_on_until_its_lifetime_is_over(scene: Scene) -> None:
    login_id = scene.logins.begin(ANN.identity, None, None)
    for _ in range(int(LIFETIME / IDLE)):
        scene.let_pass(IDLE - MOMENT)
        assert scene.logins.holder(login_id) == ANN.identity
    scene.let_pass(IDLE - MOMENT)
    assert scene.logins.holder(login_id) is None


def test_one_login_is_ended_and_the_others_stay(scene: Scene) -> None:
    one, other = (scene.logins.begin(ANN.identity, None, None) for _ in range(2))
    assert scene.logins.end(ANN.identity, one, ENDED) == 1
    assert [scene.logins.holder(each) for each in (one, other)] == [None, ANN.identity]
    assert scene.events() == ["ann"]


def test_a_login_is_ended_once(scene: Scene) -> None:
    login_id = scene.logins.begin(ANN.identity, None, None)
    assert [scene.logins.end(ANN.identity, login_id, ENDED) for _ in range(2)] == [1, 0]
    assert len(scene.events()) == 1


def test_the_login_of_another_user_is_not_ended(scene: Scene) -> None:
    foreign = scene.logins.begin(BOB.identity, None, None)
    assert scene.logins.end(ANN.identity, foreign, ENDED) == 0
    assert scene.logins.end(ANN.identity, None, ENDED) == 0
    assert scene.logins.holder(foreign) == BOB.identity


def test_all_logins_of_a_user_are_ended(scene: Scene) -> None:
    for _ in range(3):
        scene.logins.begin(ANN.identity, None, None)
    assert scene.logins.end(ANN.identity, None, ENDED) == 3
    assert scene.logins.logins(ANN.identity) == []


def test_a_disabled_user_holds_no_login_and_gets_none(scene: Scene) -> None:
    login_id = scene.logins.begin(ANN.identity, None, None)
    scene.disable(ANN.identity)
    assert scene.logins.holder(login_id) is None
    with pytest.raises(PolicyDenied):
        scene.logins.begin(ANN.identity, None, None)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (notice(subject="ann"), {"bob"}),
        (notice(sid="sid-1"), {"ann-2", "bob"}),
        (notice(subject="ann", sid="sid-2"), {"ann-1", "bob"}),
        (notice(subject="bob", sid="sid-1"), {"ann-1", "ann-2", "bob"}),
        (notice(subject="nobody"), {"ann-1", "ann-2", "bob"}),
        (LogoutNotice("https://other.example", "jti-1", "ann", None), {"ann-1", "ann-2", "bob"}),
    ],
)
def test_a_notice_ends_what_it_names(scene: Scene, said: LogoutNotice, left: set[str]) -> None:
    begun = {
        "ann-1": scene.logins.begin(ANN.identity, "sid-1", None),
        "ann-2": scene.logins.begin(ANN.identity, "sid-2", None),
        "bob": scene.logins.begin(BOB.identity, "sid-3", None),
    }
    assert scene.logins.end_by_notice(said, KEEP, SAID) == 3 - len(left)
    assert {name for name, login_id in begun.items() if scene.logins.holder(login_id)} == left
    assert scene.events() == (["ann"] if len(left) < 3 else [])


def test_a_notice_counts_once_until_it_is_forgotten(scene: Scene) -> None:
    heard = [scene.logins.end_by_notice(notice(subject="ann"), KEEP, SAID) for _ in range(2)]
    assert heard == [0, None]
    assert scene.logins.end_by_notice(notice(2, subject="ann"), KEEP, SAID) == 0
    scene.let_pass(KEEP)
    assert scene.logins.end_by_notice(notice(subject="ann"), KEEP, SAID) == 0


def test_of_many_equal_notices_at_once_one_counts(scene: Scene) -> None:
    heard = in_parallel(8, lambda _: scene.logins.end_by_notice(notice(subject="ann"), KEEP, SAID))
    assert sorted(heard, key=str) == [0, *[None] * 7]

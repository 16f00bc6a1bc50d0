"""Another account than the linked ones: what is asked, what the answers do, and what becomes of no answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from typing import ClassVar, TypeVar
from uuid import uuid4

import pytest

from support.core_world import ADA, PROFILE, provider
from support.fake_provider import FakeProviderClient, granted
from support.fakes import FakeDatabase, FakeLinkStore, FakeStores, FakeWaitingStore, fake_stores
from support.link_services import LinkServices, link_services
from tokenstore.core.completing import Linked
from tokenstore.core.confirming import Choice, ConfirmationService
from tokenstore.core.model import (
    Account,
    AuditEvent,
    Callback,
    Caller,
    CallerKind,
    Link,
    LinkId,
    Provider,
    RevocationResult,
    TokenSet,
)
from tokenstore.core.ports import Debt, NewLink, Swapped, Waiting
from tokenstore.core.secret import Secret
from tokenstore.core.wishes import NO_WISHES, Wishes
from tokenstore.errors import AttemptExpired, InvalidRequest, PolicyDenied, Report, StorageUnavailable, TokenStoreError

SESSION = Caller(CallerKind.SESSION, ADA, session_key="session-1")
BEARER = Caller(CallerKind.BEARER, ADA)
MINUTES = timedelta(minutes=1)

T = TypeVar("T")


@dataclass
class Scene:
    """A linking service with its confirmations, and a user who has linked the account a-1."""

    provider: Provider = field(default_factory=lambda: provider(revokes_grant=False))
    client: FakeProviderClient = field(default_factory=FakeProviderClient)
    stores: FakeStores = field(default_factory=fake_stores)
    links: type[FakeLinkStore] = FakeLinkStore

    def __post_init__(self) -> None:
        self.stores = replace(self.stores, links=self.links(self.stores.database))
        self.stores.users.remember(PROFILE)
        made = self.come_back("a-1")
        assert isinstance(made, Linked)
        self.first = made.link

    @property
    def services(self) -> LinkServices:
        return link_services(self.stores, self.stores.facts, self.client, self.provider)

    @property
    def confirmations(self) -> ConfirmationService:
        return self.services.confirmations

    def come_back(self, subject: str, begun_by: Caller = SESSION, wishes: Wishes = NO_WISHES) -> Linked | Waiting:
        """Link from start to end, with this account."""
        self.client.account = Account("https://idp.example", subject)
        self.client.exchanges = [granted(f"access-{subject}", refresh=f"refresh-{subject}")]
        self.services.linking.begin(begun_by, "idp1", "/back", wishes)
        state = self.client.begun[-1].state.reveal()
        return self.services.completing.complete(SESSION, "idp1", Callback({"state": (state,), "code": ("c",)}))

    def waiting(self, subject: str = "a-2", begun_by: Caller = SESSION, wishes: Wishes = NO_WISHES) -> Waiting:
        """Come back with another account."""
        made = self.come_back(subject, begun_by, wishes)
        assert isinstance(made, Waiting)
        return made

    def meanwhile(self, work: Callable[[], object]) -> None:
        """Have this done once between looking at the links and storing one."""
        self.stores = replace(self.stores, links=Meanwhile(self.stores.database, work))

    def subjects(self) -> Sequence[str]:
        """The accounts that are linked, the default one first."""
        return [one.link.account.subject for one in self.stores.links.standings(ADA)]

    def revoked(self) -> Sequence[str]:
        """The tokens that were revoked at the provider."""
        return self.client.revoked

    def actions(self) -> Sequence[tuple[str, str | None]]:
        return [(event.action, event.reason) for event in self.stores.database.events]


class Tired(FakeWaitingStore):
    """A database that fails when earlier questions are given up."""

    def give_up_before(self, *_about: object) -> Sequence[Debt]:
        raise StorageUnavailable("no time for that")


class Unsure(FakeLinkStore):
    """A database that fails once, when an answer is stored; `committed`: just after it was."""

    committed: ClassVar[bool]
    failed = False

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        return self._fail_once(new, lambda: super(Unsure, self).attach(new, event))

    def swap(self, new: NewLink, replaced: Collection[LinkId], event: AuditEvent) -> Swapped:
        return self._fail_once(new, lambda: super(Unsure, self).swap(new, replaced, event))

    def _fail_once(self, new: NewLink, work: Callable[[], T]) -> T:
        if new.waiting_id is None or self.failed:
            return work()
        if self.committed:
            work()
        self.failed = True
        raise StorageUnavailable("The answer of the database was lost.")


class Refusing(Unsure):
    """One that fails before."""

    committed = False


class Forgetful(Unsure):
    """One that fails after."""

    committed = True


class Meanwhile(FakeLinkStore):
    """A database in which something happens just before a link is stored."""

    def __init__(self, database: FakeDatabase, work: Callable[[], object]) -> None:
        super().__init__(database)
        self._work: list[Callable[[], object]] = [work]

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        while self._work:
            self._work.pop()()
        return super().attach(new, event)


def one(subject: str, at: Provider) -> NewLink:
    """A completed linking of this account."""
    account, tokens = Account("https://idp.example", subject), TokenSet(Secret("a"), refresh_token=Secret("r"))
    return NewLink(PROFILE, at, account, tokens, frozenset(), monotonic())


@pytest.mark.parametrize("begun_by", [SESSION, BEARER])
def test_another_account_is_not_linked_until_the_person_says_so(begun_by: Caller) -> None:
    scene = Scene()
    waiting = scene.waiting(begun_by=begun_by)
    question = scene.confirmations.question(SESSION, waiting.id)
    assert (question.account.subject, [link.account.subject for link in question.linked]) == ("a-2", ["a-1"])
    assert (scene.subjects(), scene.actions()[-1]) == (["a-1"], ("link.waiting", None))


def test_the_same_account_is_renewed_without_a_question() -> None:
    scene = Scene()
    made = scene.come_back("a-1")
    assert isinstance(made, Linked)
    assert made.link.id == scene.first.id


def test_the_link_that_was_to_be_renewed_is_named_first() -> None:
    scene = Scene()
    second = scene.confirmations.decide(SESSION, scene.waiting().id, Choice.ADD).link
    assert second is not None
    made = scene.come_back("a-3", wishes=Wishes(link_id=second.id))
    linked = scene.confirmations.question(SESSION, made.id).linked if isinstance(made, Waiting) else []
    assert [link.account.subject for link in linked] == ["a-2", "a-1"]


def test_adding_keeps_both_and_the_default() -> None:
    scene = Scene()
    decided = scene.confirmations.decide(SESSION, scene.waiting().id, Choice.ADD)
    assert (decided.link is not None, decided.return_url) == (True, "/back")
    assert (scene.subjects(), scene.revoked()) == (["a-1", "a-2"], [])


def test_a_token_that_waited_is_as_old_as_it_is() -> None:
    scene = Scene()
    waiting = scene.waiting()
    received = scene.stores.database.clock.now
    scene.stores.database.clock.advance(5 * MINUTES)
    link = scene.confirmations.decide(SESSION, waiting.id, Choice.ADD).link
    assert link is not None
    holding = scene.stores.links.read(ADA, scene.provider.id, link.id, "default")
    assert holding is not None
    assert holding.token is not None
    assert abs(holding.token.issued_at - received) < timedelta(seconds=5)


def test_replacing_unlinks_the_old_account_and_passes_its_part_on() -> None:
    scene = Scene()
    added = scene.confirmations.decide(SESSION, scene.waiting("a-2").id, Choice.ADD).link
    assert added is not None
    decided = scene.confirmations.decide(SESSION, scene.waiting("a-3").id, Choice.REPLACE, scene.first.id)
    assert decided.link is not None
    assert (scene.subjects(), scene.revoked()) == (["a-3", "a-2"], ["refresh-a-1"])
    assert scene.actions()[-3:] == [("link.removed", "replaced"), ("link.created", None), ("link.default", None)]


def test_cancelling_gives_back_what_was_received() -> None:
    scene = Scene()
    decided = scene.confirmations.decide(SESSION, scene.waiting().id, Choice.CANCEL)
    assert (decided.link, decided.return_url) == (None, "/back")
    assert (scene.subjects(), scene.revoked()) == (["a-1"], ["refresh-a-2"])
    assert scene.actions()[-1] == ("link.refused", "cancelled")


def test_where_one_account_is_allowed_another_can_only_replace_it() -> None:
    scene = Scene(provider=provider(multi_account=False, revokes_grant=False))
    waiting = scene.waiting()
    with pytest.raises(InvalidRequest):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    scene.confirmations.decide(SESSION, waiting.id, Choice.REPLACE)
    assert scene.subjects() == ["a-2"]


def test_where_the_one_account_was_unlinked_meanwhile_another_is_added() -> None:
    scene = Scene(provider=provider(multi_account=False, revokes_grant=False))
    waiting = scene.waiting()
    scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    assert scene.subjects() == ["a-2"]


def test_what_is_to_be_replaced_has_to_be_named_and_ones_own() -> None:
    scene = Scene()
    waiting = scene.waiting()
    for link_id in (None, LinkId(uuid4())):
        with pytest.raises(InvalidRequest):
            scene.confirmations.decide(SESSION, waiting.id, Choice.REPLACE, link_id)
    assert scene.subjects() == ["a-1"]


def test_it_is_answered_once() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    with pytest.raises(AttemptExpired):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)


def test_another_session_of_the_same_person_cannot_answer() -> None:
    scene = Scene()
    waiting = scene.waiting()
    with pytest.raises(AttemptExpired):
        scene.confirmations.decide(replace(SESSION, session_key="session-2"), waiting.id, Choice.ADD)
    assert scene.subjects() == ["a-1"]


def test_nobody_who_begins_waits_for_the_revocations_of_others() -> None:
    scene = Scene()
    scene.waiting()
    scene.stores.database.clock.advance(11 * MINUTES)
    scene.services.linking.begin(SESSION, "idp1", "/")
    assert scene.revoked() == []


def test_after_ten_minutes_it_is_over_and_given_back() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.stores.database.clock.advance(11 * MINUTES)
    with pytest.raises(AttemptExpired):
        scene.confirmations.question(SESSION, waiting.id)
    assert scene.services.asker.sweep() == 1
    assert (scene.revoked(), scene.actions()[-1]) == (["refresh-a-2"], ("link.refused", "unanswered"))


def test_a_further_account_takes_the_place_of_the_one_that_waits() -> None:
    scene = Scene()
    first, second = scene.waiting("a-2"), scene.waiting("a-3")
    with pytest.raises(AttemptExpired):
        scene.confirmations.question(SESSION, first.id)
    assert scene.confirmations.question(SESSION, second.id).account.subject == "a-3"
    assert scene.revoked() == ["refresh-a-2"]


def test_what_waited_in_vain_waits_for_a_provider_that_hangs_once() -> None:
    scene = Scene()
    for number in range(3):
        row = scene.stores.database.waiting[scene.waiting(f"a-{number + 2}").id]
        kept = {one: replace(row, waiting=replace(row.waiting, id=one)) for one in (uuid4(), uuid4())}
        scene.stores.database.waiting.update(kept)
    scene.client.revoked.clear()
    scene.client.revocation = RevocationResult.FAILED
    scene.stores.database.clock.advance(11 * MINUTES)
    assert scene.services.asker.sweep() > 1
    assert len(scene.revoked()) == 1


def test_a_user_disabled_meanwhile_links_nothing() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.stores.database.users[ADA].disabled = True
    with pytest.raises(PolicyDenied):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    assert scene.revoked() == ["refresh-a-2"]


def test_a_database_that_fails_on_the_answer_leaves_the_question() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.stores.database.down = True
    with pytest.raises(StorageUnavailable):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    scene.stores.database.down = False
    assert scene.confirmations.decide(SESSION, waiting.id, Choice.ADD).link is not None


def test_tokens_that_cannot_be_kept_waiting_are_given_back() -> None:
    class Broken(FakeWaitingStore):
        def save(self, waiting: Waiting, session_key: str, patience: timedelta, event: AuditEvent) -> None:
            raise StorageUnavailable(f"no room for {waiting.id} of {session_key} for {patience}: {event.action}")

    scene = Scene()
    scene.stores = replace(scene.stores, waiting=Broken(scene.stores.database))
    with pytest.raises(StorageUnavailable):
        scene.waiting()
    assert (scene.subjects(), scene.revoked()) == (["a-1"], ["refresh-a-2"])


REPORTS = Wishes(reports=True)


def reported(scene: Scene, waiting: Waiting, choice: Choice = Choice.ADD) -> Report | None:
    """To whom the error is told in which answering ends."""
    with pytest.raises(TokenStoreError) as refused:
        scene.confirmations.decide(SESSION, waiting.id, choice)
    return refused.value.report_to


def test_an_answer_that_comes_too_late_is_reported_and_gives_back_at_once() -> None:
    scene = Scene()
    waiting = scene.waiting(wishes=REPORTS)
    scene.stores.database.clock.advance(11 * MINUTES)
    with pytest.raises(AttemptExpired) as late:
        scene.confirmations.question(SESSION, waiting.id)
    assert late.value.report_to == Report("/back", "idp1")
    assert reported(scene, waiting) == Report("/back", "idp1")
    assert scene.revoked() == ["refresh-a-2"]


def test_an_error_is_not_reported_where_that_was_not_asked_for() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.stores.database.clock.advance(11 * MINUTES)
    assert reported(scene, waiting) is None


@pytest.mark.parametrize(
    ("changes", "slug"),
    [({"client_id": "client-2"}, "attempt-expired"), ({"account_match": "sub"}, "account-mismatch")],
)
def test_what_may_not_be_linked_any_more_is_given_back_and_reported(changes: dict[str, str], slug: str) -> None:
    scene = Scene()
    waiting = scene.waiting(wishes=REPORTS)
    scene.provider = provider(revokes_grant=False, **changes)
    assert reported(scene, waiting) == Report("/back", "idp1")
    assert (scene.subjects(), scene.actions()[-1]) == (["a-1"], ("link.refused", slug))
    assert not scene.stores.database.waiting


def test_who_may_still_answer_is_not_sent_away() -> None:
    scene = Scene(provider=provider(multi_account=False, revokes_grant=False))
    waiting = scene.waiting(wishes=REPORTS)
    assert reported(scene, waiting) is None
    assert scene.confirmations.decide(SESSION, waiting.id, Choice.REPLACE).link is not None


def test_of_two_answers_the_second_is_not_reported_for_the_first_was() -> None:
    scene = Scene()
    waiting = scene.waiting(wishes=REPORTS)
    scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    assert reported(scene, waiting) is None


@pytest.mark.parametrize("choice", [Choice.ADD, Choice.REPLACE])
def test_after_a_failure_while_storing_the_question_is_still_open(choice: Choice) -> None:
    scene = Scene(links=Refusing)
    waiting = scene.waiting(wishes=REPORTS)
    with pytest.raises(StorageUnavailable) as failed:
        scene.confirmations.decide(SESSION, waiting.id, choice, scene.first.id)
    assert failed.value.report_to is None
    assert (scene.subjects(), scene.revoked()) == (["a-1"], [])
    assert scene.confirmations.decide(SESSION, waiting.id, choice, scene.first.id).link is not None


@pytest.mark.parametrize("choice", [Choice.ADD, Choice.REPLACE])
def test_an_answer_that_was_stored_counts_though_the_database_did_not_say_so(choice: Choice) -> None:
    scene = Scene(links=Forgetful)
    waiting = scene.waiting()
    assert scene.confirmations.decide(SESSION, waiting.id, choice, scene.first.id).link is not None
    assert scene.subjects() == (["a-2"] if choice is Choice.REPLACE else ["a-1", "a-2"])
    assert "refresh-a-2" not in scene.revoked()
    assert not scene.stores.database.waiting


class Down(FakeLinkStore):
    """A database that is lost in the middle of storing an answer, and does not come back for a while."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        if new.waiting_id is not None:
            self._db.down = True
        return super().attach(new, event)


def test_a_database_that_is_lost_while_storing_leaves_the_question() -> None:
    scene = Scene(links=Down)
    waiting = scene.waiting()
    with pytest.raises(StorageUnavailable):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    scene.stores.database.down = False
    assert scene.confirmations.question(SESSION, waiting.id).account.subject == "a-2"
    assert scene.revoked() == []


def test_of_two_accounts_where_one_is_allowed_the_second_is_given_back() -> None:
    scene = Scene(provider=provider(multi_account=False, revokes_grant=False))
    waiting = scene.waiting(wishes=REPORTS)
    scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    question = scene.confirmations.question(SESSION, waiting.id)
    assert question.may_add
    scene.meanwhile(
        lambda: scene.stores.links.attach(one("a-9", scene.provider), AuditEvent("link.created", "success"))
    )
    assert reported(scene, waiting) == Report("/back", "idp1")
    assert scene.subjects() == ["a-9"]
    assert scene.revoked()[-1] == "refresh-a-2"
    assert scene.actions()[-1] == ("link.refused", "attempt-expired")


def test_who_was_faster_with_another_account_makes_the_second_a_question() -> None:
    scene = Scene(provider=provider(multi_account=False, revokes_grant=False))
    scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    scene.meanwhile(
        lambda: scene.stores.links.attach(one("a-9", scene.provider), AuditEvent("link.created", "success"))
    )
    waiting = scene.waiting()
    question = scene.confirmations.question(SESSION, waiting.id)
    assert [link.account.subject for link in question.linked] == ["a-9"]
    assert "refresh-a-2" not in scene.revoked()


def test_a_question_that_came_twice_ends_no_grant_until_it_is_cancelled() -> None:
    scene = Scene(provider=provider(revokes_grant=True))
    scene.waiting()
    waiting = scene.waiting()
    assert scene.revoked() == []
    scene.confirmations.decide(SESSION, waiting.id, Choice.CANCEL)
    assert scene.revoked() == ["refresh-a-2"]
    scene.stores.database.clock.advance(2 * MINUTES)
    scene.services.revoker.settle_next()
    assert scene.revoked() == ["refresh-a-2"] * 2


def test_a_question_that_came_twice_is_linked_and_nothing_is_owed() -> None:
    scene = Scene(provider=provider(revokes_grant=True))
    scene.waiting()
    scene.confirmations.decide(SESSION, scene.waiting().id, Choice.ADD)
    assert (scene.subjects(), scene.revoked(), scene.stores.database.outbox) == (["a-1", "a-2"], [], {})


def test_a_question_is_asked_though_the_earlier_one_cannot_be_given_up() -> None:
    scene = Scene()
    scene.waiting("a-3")
    scene.stores = replace(scene.stores, waiting=Tired(scene.stores.database))
    waiting = scene.waiting()
    assert scene.revoked() == []
    scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    scene.stores.database.clock.advance(11 * MINUTES)
    assert scene.services.asker.sweep() == 1

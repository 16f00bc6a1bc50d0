"""Another account than the linked ones: what is asked, what the answers do, and what becomes of no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from support.core_world import ADA, PROFILE, provider
from support.fake_provider import FakeProviderClient, granted
from support.fakes import FakeStores, FakeWaitingStore, fake_stores
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.confirming import Choice, ConfirmationService
from tokenstore.core.linking import Linked, LinkingService
from tokenstore.core.model import Account, Callback, Caller, CallerKind, LinkId, Provider
from tokenstore.core.policy import Policy
from tokenstore.core.ports import Waiting
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.wishes import NO_WISHES, Wishes
from tokenstore.errors import AttemptExpired, InvalidRequest, PolicyDenied, StorageUnavailable

SESSION = Caller(CallerKind.SESSION, ADA, session_key="session-1")
BEARER = Caller(CallerKind.BEARER, ADA)
MINUTES = timedelta(minutes=1)


@dataclass
class Scene:
    """A linking service with its confirmations, and a user who has linked the account a-1."""

    provider: Provider = field(default_factory=lambda: provider(revokes_grant=False))
    client: FakeProviderClient = field(default_factory=FakeProviderClient)
    stores: FakeStores = field(default_factory=fake_stores)

    def __post_init__(self) -> None:
        self.stores.users.remember(PROFILE)
        made = self.come_back("a-1")
        assert isinstance(made, Linked)
        self.first = made.link

    @property
    def service(self) -> LinkingService:
        stores, registry = self.stores, Registry([self.provider])
        return LinkingService(
            registry,
            Policy(),
            stores.users,
            stores.links,
            Attempts(stores.attempts, self.client),
            CallbackCheck(stores.attempts, self.client),
            self.client,
            stores.audit,
            Revoker(registry, stores.outbox, self.client),
            stores.facts,
            self.confirmations,
        )

    @property
    def confirmations(self) -> ConfirmationService:
        stores, registry = self.stores, Registry([self.provider])
        revoker = Revoker(registry, stores.outbox, self.client)
        return ConfirmationService(
            registry, Policy(), stores.users, stores.links, stores.waiting, stores.audit, revoker
        )

    def come_back(self, subject: str, begun_by: Caller = SESSION, wishes: Wishes = NO_WISHES) -> Linked | Waiting:
        """Link from start to end, with this account."""
        self.client.account = Account("https://idp.example", subject)
        self.client.exchanges = [granted(f"access-{subject}", refresh=f"refresh-{subject}")]
        self.service.begin(begun_by, "idp1", "/back", wishes)
        state = self.client.begun[-1].state.reveal()
        return self.service.complete(SESSION, "idp1", Callback({"state": (state,), "code": ("c",)}))

    def waiting(self, subject: str = "a-2", begun_by: Caller = SESSION) -> Waiting:
        """Come back with another account."""
        made = self.come_back(subject, begun_by)
        assert isinstance(made, Waiting)
        return made

    def subjects(self) -> Sequence[str]:
        """The accounts that are linked, the default one first."""
        return [one.link.account.subject for one in self.stores.links.standings(ADA)]

    def revoked(self) -> Sequence[str]:
        """The tokens that were revoked at the provider."""
        return self.client.revoked

    def actions(self) -> Sequence[tuple[str, str | None]]:
        return [(event.action, event.reason) for event in self.stores.database.events]


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
    assert scene.actions()[-3:] == [("link.created", None), ("link.default", None), ("link.removed", "replaced")]


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
    scene.service.unlink(SESSION, provider_id="idp1")
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


def test_after_ten_minutes_it_is_over_and_the_next_who_begins_gives_it_back() -> None:
    scene = Scene()
    waiting = scene.waiting()
    scene.stores.database.clock.advance(11 * MINUTES)
    with pytest.raises(AttemptExpired):
        scene.confirmations.decide(SESSION, waiting.id, Choice.ADD)
    scene.service.begin(SESSION, "idp1", "/")
    assert (scene.revoked(), scene.actions()[-1]) == (["refresh-a-2"], ("link.refused", "unanswered"))


def test_a_further_account_takes_the_place_of_the_one_that_waits() -> None:
    scene = Scene()
    first, second = scene.waiting("a-2"), scene.waiting("a-3")
    with pytest.raises(AttemptExpired):
        scene.confirmations.question(SESSION, first.id)
    assert scene.confirmations.question(SESSION, second.id).account.subject == "a-3"
    assert scene.revoked() == ["refresh-a-2"]


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
        def save(self, waiting: Waiting, session_key: str, patience: timedelta) -> None:
            raise StorageUnavailable(f"no room for {waiting.id} of {session_key} for {patience}")

    scene = Scene()
    scene.stores = replace(scene.stores, waiting=Broken(scene.stores.database))
    with pytest.raises(StorageUnavailable):
        scene.waiting()
    assert (scene.subjects(), scene.revoked()) == (["a-1"], ["refresh-a-2"])

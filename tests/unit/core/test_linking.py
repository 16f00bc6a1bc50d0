"""Linking and unlinking: what is stored, what is given back after a failure, and what the audit says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from support.core_world import ADA, PROFILE, provider
from support.fake_provider import FakeProviderClient, granted
from support.fakes import FakeLinkStore, FakeStores, FullAuditLog, fake_stores
from support.link_services import LinkServices, link_services
from support.places import taken
from tokenstore.core.attempts import Begun
from tokenstore.core.completing import Linked
from tokenstore.core.confirming import Choice
from tokenstore.core.model import (
    Account,
    Attempt,
    AuditEvent,
    Callback,
    Caller,
    CallerKind,
    Identity,
    Link,
    LinkId,
    LinkState,
    Misconfigured,
    Origin,
    Outcome,
    Profile,
    Provider,
    ProviderId,
    Refused,
    RevocationResult,
    Unavailable,
    Unclear,
)
from tokenstore.core.places import Places
from tokenstore.core.policy import Policy
from tokenstore.core.ports import LinkStore, NewLink, Waiting
from tokenstore.core.secret import Secret
from tokenstore.core.wishes import NO_WISHES, Wishes
from tokenstore.errors import (
    AccountMismatch,
    AttemptExpired,
    LinkDenied,
    NoOfflineAccess,
    NotFound,
    PolicyDenied,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderUnavailable,
    Report,
    StorageUnavailable,
    TokenStoreError,
    UnknownProvider,
)

SESSION = Caller(CallerKind.SESSION, ADA, session_key="session-1", address="192.0.2.1", request_id="r-1")
BEARER = Caller(CallerKind.BEARER, ADA, client="notebook")


@dataclass
class Scene:
    """A linking service over fakes with one known user."""

    provider: Provider = field(default_factory=provider)
    client: FakeProviderClient = field(default_factory=FakeProviderClient)
    policy: Policy = field(default_factory=Policy)
    stores: FakeStores = field(default_factory=fake_stores)
    links: LinkStore | None = None
    places: Places = field(default_factory=Places)

    def __post_init__(self) -> None:
        self.stores.users.remember(PROFILE)

    @property
    def services(self) -> LinkServices:
        """The services."""
        return link_services(
            self.stores,
            self.stores.facts,
            self.client,
            self.provider,
            policy=self.policy,
            links=self.links,
            patience_seconds=0.1,
            places=self.places,
        )

    def begin(self, caller: Caller = SESSION, wishes: Wishes = NO_WISHES) -> Begun:
        """Start linking."""
        return self.services.linking.begin(caller, "idp1", "/back", wishes)

    def come_back(self, caller: Caller | None = SESSION, **parameters: str) -> Linked:
        """Finish the attempt that was begun last."""
        state = self.client.begun[-1].state.reveal()
        query = {"state": state, "code": "code-1", **parameters}
        callback = Callback({name: (value,) for name, value in query.items()})
        made = self.services.completing.complete(caller, "idp1", callback)
        if isinstance(made, Waiting) and caller is not None:
            decided = self.services.confirmations.decide(caller, made.id, Choice.ADD)
            assert decided.link is not None
            return Linked(decided.provider, decided.link, decided.return_url, renewed=False, reports=decided.reports)
        assert isinstance(made, Linked)
        return made

    def linked(self, *outcomes: Any, **account: Any) -> Link:
        """Link an account from start to end."""
        self.client.exchanges = list(outcomes) or [granted("access-1", refresh="refresh-1")]
        if account:
            self.client.account = Account("https://idp.example", **account)
        self.begin()
        return self.come_back().link

    def refused(self, kind: type[BaseException], caller: Caller | None = SESSION, **parameters: str) -> None:
        """Come back and be refused."""
        with pytest.raises(kind):
            self.come_back(caller, **parameters)

    @property
    def last_event(self) -> AuditEvent:
        """What the audit says last."""
        return self.stores.database.events[-1]


class BuggyLinks(FakeLinkStore):
    """A store with a bug of ours in `attach`."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        raise ZeroDivisionError(f"{new.provider.id} {event.action}")


def test_a_linking_that_finds_no_place_at_the_provider_can_be_completed_later() -> None:
    scene = Scene(places=Places(2, slow_seconds=0))
    scene.client.exchanges = [granted()]
    with taken(scene.places, "idp1"), pytest.raises(ProviderBusy):
        scene.begin()
    scene.begin(wishes=Wishes(reports=True))
    with taken(scene.places, "idp1"), pytest.raises(ProviderBusy) as told:
        scene.come_back()
    assert (told.value.report_to, scene.stores.database.events) == (None, [])
    assert scene.come_back().link.provider_id == "idp1"


def test_beginning_sends_the_browser_to_the_provider() -> None:
    scene = Scene()
    begun = scene.begin()
    assert begun.location.startswith("https://idp.example/authorize?state=")
    attempt = scene.client.begun[0]
    assert (attempt.user, attempt.session_key, attempt.return_url) == (ADA, "session-1", "/back")


def test_what_a_program_begins_is_bound_to_the_user_alone() -> None:
    scene = Scene()
    scene.begin(BEARER)
    attempt = scene.client.begun[0]
    assert (attempt.user, attempt.session_key) == (ADA, None)


def test_an_unknown_provider_cannot_be_linked() -> None:
    with pytest.raises(UnknownProvider):
        Scene().services.linking.begin(SESSION, "oidc", "/")


def test_the_policy_decides_who_may_begin() -> None:
    scene = Scene(policy=Policy("tokens"))
    with pytest.raises(PolicyDenied):
        scene.begin(BEARER)
    assert scene.stores.database.attempts == {}


def test_a_link_at_another_provider_is_not_renewed_here() -> None:
    scene = Scene()
    link = scene.linked()
    scene.provider = replace(provider(), id=ProviderId("idp2"))
    with pytest.raises(NotFound):
        scene.services.linking.preview(SESSION, "idp2", Wishes(link_id=link.id))


def test_renewing_a_link_of_nobody_or_of_another_provider_begins_nothing() -> None:
    scene = Scene()
    with pytest.raises(NotFound):
        scene.begin(wishes=Wishes(link_id=LinkId(uuid4())))
    assert scene.stores.database.attempts == {}


def test_an_attempt_remembers_the_link_to_renew_and_the_scopes_asked_for() -> None:
    scene = Scene(provider(scopes=("openid", "email", "files")))
    link = scene.linked()
    scene.begin(wishes=Wishes(frozenset({"files"}), link_id=link.id))
    attempt = scene.client.begun[-1]
    assert (attempt.link_id, attempt.scopes) == (link.id, ("openid", "email", "files"))


@pytest.mark.parametrize(("reports", "told"), [(True, Report("/back", "idp1")), (False, None)])
def test_an_error_is_reported_only_where_that_was_asked_for(reports: bool, told: Report | None) -> None:
    scene = Scene()
    scene.begin(wishes=Wishes(reports=reports))
    with pytest.raises(LinkDenied) as denied:
        scene.come_back(error="access_denied")
    assert denied.value.report_to == told


def test_a_refusal_that_cannot_be_audited_is_told_and_reported_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.stores = replace(scene.stores, audit=FullAuditLog(scene.stores.database))
    scene.begin(wishes=Wishes(reports=True))
    with pytest.raises(LinkDenied) as denied:
        scene.come_back(error="access_denied")
    assert denied.value.report_to == Report("/back", "idp1")
    assert "a failure could not be written down" in caplog.text


def test_an_error_is_not_reported_to_who_did_not_begin() -> None:
    scene = Scene()
    scene.begin(wishes=Wishes(reports=True))
    with pytest.raises(AttemptExpired) as refused:
        scene.come_back(replace(SESSION, session_key="another"))
    assert refused.value.report_to is None


def test_a_completed_linking_is_stored_audited_and_leads_back() -> None:
    scene = Scene()
    scene.client.exchanges = [granted("access-1", refresh="refresh-1", scopes=frozenset({"openid"}))]
    scene.begin()
    linked = scene.come_back()
    row = scene.stores.database.links[linked.link.id]
    assert linked.return_url == "/back"
    assert (row.refresh_token, linked.link.state, linked.link.is_default) == (
        Secret("refresh-1"),
        LinkState.ACTIVE,
        True,
    )
    assert (linked.link.scopes_requested, linked.link.scopes_granted) == (
        frozenset({"openid", "email"}),
        frozenset({"openid"}),
    )
    assert scene.last_event == AuditEvent("link.created", "success", SESSION, ADA, "idp1", linked.link.id)


def test_what_a_program_began_is_finished_in_a_session_of_its_user() -> None:
    scene = Scene()
    scene.client.exchanges = [granted(refresh="r")]
    scene.begin(BEARER)
    assert scene.come_back(SESSION).link.state is LinkState.ACTIVE


def test_a_provider_without_refresh_tokens_is_linked_by_its_access_token() -> None:
    assert not Scene().linked(granted("access-only", seconds=None)).has_refresh_token


def test_the_same_account_again_updates_its_link() -> None:
    scene = Scene()
    first = scene.linked()
    second = scene.linked(granted("access-2", refresh="refresh-2"))
    assert (second.id, second.version) == (first.id, first.version + 1)


def test_another_account_is_another_link_and_the_first_stays_the_default() -> None:
    scene = Scene()
    first = scene.linked(subject="a-1")
    second = scene.linked(subject="a-2")
    assert first.id != second.id
    assert (first.is_default, second.is_default) == (True, False)


@pytest.mark.parametrize(
    ("caller", "parameters", "error"),
    [
        (SESSION, {"state": "unknown"}, AttemptExpired),
        (SESSION, {"error": "access_denied"}, LinkDenied),
        (SESSION, {"iss": "https://evil.example"}, LinkDenied),
        (replace(SESSION, session_key="session-2"), {}, AttemptExpired),
        (replace(SESSION, identity=Identity(ADA.issuer, "bob")), {}, AttemptExpired),
        (None, {}, AttemptExpired),
    ],
)
def test_a_refused_callback_redeems_nothing_and_is_audited(
    caller: Caller | None, parameters: dict[str, str], error: type[TokenStoreError]
) -> None:
    scene = Scene()
    scene.begin()
    scene.refused(error, caller, **parameters)
    identity = caller.identity if caller else None
    assert scene.client.exchanged == []
    assert scene.stores.database.links == {}
    assert scene.last_event == AuditEvent("link.refused", "failure", caller, identity, "idp1", reason=error.slug)


def test_a_callback_of_nobody_without_an_attempt_writes_no_event() -> None:
    scene = Scene()
    scene.begin()
    scene.refused(AttemptExpired, None, state="unknown")
    assert scene.stores.database.events == []


def test_a_refusal_of_nobody_says_where_it_came_from() -> None:
    scene, origin = Scene(), Origin("192.0.2.1", "r-1")
    scene.begin()
    callback = Callback({"state": (scene.client.begun[-1].state.reveal(),)})
    with pytest.raises(AttemptExpired):
        scene.services.completing.complete(None, "idp1", callback, origin)
    assert scene.last_event.origin == origin


def test_a_user_disabled_meanwhile_links_nothing() -> None:
    scene = Scene()
    scene.begin()
    scene.stores.database.users[ADA].disabled = True
    scene.refused(PolicyDenied)
    assert (scene.client.exchanged, scene.last_event.reason) == ([], "policy-denied")


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Refused("invalid_grant"), LinkDenied),
        (Misconfigured("invalid_client"), ProviderMisconfigured),
        (Unavailable("status-500"), ProviderUnavailable),
    ],
)
def test_a_code_that_is_not_redeemed_is_audited_and_owes_nothing(outcome: Any, error: type[TokenStoreError]) -> None:
    scene = Scene()
    scene.client.exchanges = [outcome]
    scene.begin()
    scene.refused(error)
    assert (scene.last_event.reason, scene.client.revoked) == (error.slug, [])


def no_account(scene: Scene) -> None:
    """The ID token is not good."""
    scene.client.account = LinkDenied("no account")


def foreign_account(scene: Scene) -> None:
    """Somebody else's account at the login issuer."""
    scene.client.account = Account(ADA.issuer, "bob")


def keys_away(scene: Scene) -> None:
    """The provider's keys cannot be fetched."""
    scene.client.account = ProviderUnavailable("no keys")


@pytest.mark.parametrize(
    ("fault", "error"),
    [(no_account, LinkDenied), (foreign_account, AccountMismatch), (keys_away, ProviderUnavailable)],
)
def test_a_failure_after_the_exchange_revokes_what_was_received(
    fault: Callable[[Scene], None], error: type[TokenStoreError]
) -> None:
    scene = Scene()
    fault(scene)
    scene.client.exchanges = [granted("access-1", refresh="refresh-1")]
    scene.begin()
    scene.refused(error)
    assert scene.client.revoked == ["refresh-1"]
    assert (scene.stores.database.links, scene.stores.database.outbox) == ({}, {})
    assert scene.last_event.reason == error.slug


def test_a_bug_after_the_exchange_revokes_what_was_received() -> None:
    scene = Scene()
    scene.links = BuggyLinks(scene.stores.database)
    scene.client.exchanges = [granted("access-1", refresh="refresh-1")]
    scene.begin()
    scene.refused(ZeroDivisionError)
    assert scene.client.revoked == ["refresh-1"]


def test_a_refresh_token_in_a_useless_answer_is_revoked() -> None:
    scene = Scene()
    scene.client.exchanges = [Unclear("token-type", Secret("stray"))]
    scene.begin()
    scene.refused(ProviderUnavailable)
    assert scene.client.revoked == ["stray"]


def test_where_offline_access_was_asked_for_a_link_without_refresh_token_is_refused() -> None:
    scene = Scene(provider=provider(scopes=("openid", "offline_access")))
    scene.client.exchanges = [granted("access-only")]
    scene.begin()
    scene.refused(NoOfflineAccess)
    assert (scene.client.revoked, scene.stores.database.links) == (["access-only"], {})


def stray(scene: Scene) -> None:
    """The code is answered uselessly, with a refresh token."""
    scene.client.exchanges = [Unclear("token-type", Secret("refresh-2"))]


@pytest.mark.parametrize(
    ("fault", "error"),
    [(no_account, LinkDenied), (keys_away, ProviderUnavailable), (stray, ProviderUnavailable)],
)
def test_a_failed_relinking_does_not_end_the_grant_of_the_link_that_is_there(
    fault: Callable[[Scene], None], error: type[TokenStoreError]
) -> None:
    scene = Scene()
    link = scene.linked()
    scene.client.exchanges = [granted("access-2", refresh="refresh-2")]
    fault(scene)
    scene.begin()
    scene.refused(error)
    assert (scene.client.revoked, scene.stores.database.outbox) == ([], {})
    assert scene.stores.database.links[link.id].refresh_token == Secret("refresh-1")


def test_a_failed_relinking_gives_back_what_was_received_where_that_ends_one_token() -> None:
    scene = Scene(provider=provider(revokes_grant=False))
    scene.linked()
    scene.client.account = LinkDenied("no account")
    scene.client.exchanges = [granted("access-2", refresh="refresh-2")]
    scene.begin()
    scene.refused(LinkDenied)
    assert scene.client.revoked == ["refresh-2"]


def test_a_mismatched_account_that_its_owner_has_linked_is_not_revoked() -> None:
    scene = Scene(provider=provider(account_match="sub"))
    scene.stores.links.attach(of_bob(scene.provider), AuditEvent("link.created", "success"))
    scene.client.account = Account("https://idp.example", "bob")
    scene.client.exchanges = [granted("access-2", refresh="refresh-2")]
    scene.begin()
    scene.refused(AccountMismatch)
    assert scene.client.revoked == []


def of_bob(at: Provider) -> NewLink:
    """Bob's own account, linked by Bob."""
    account = Account("https://idp.example", "bob")
    tokens = granted("access-bob", refresh="refresh-bob").tokens
    return NewLink(Profile(Identity(ADA.issuer, "bob")), at, account, tokens, frozenset(), monotonic())


def test_a_relinking_drops_what_an_earlier_failure_left_to_be_revoked() -> None:
    scene = Scene(client=FakeProviderClient(account=LinkDenied("x"), revocation=RevocationResult.FAILED))
    scene.client.exchanges = [granted(refresh="refresh-1")]
    scene.begin()
    scene.refused(LinkDenied)
    scene.linked(subject="a-1")
    assert scene.stores.database.outbox == {}


def test_a_good_refresh_token_goes_on_where_linking_again_brings_none() -> None:
    scene = Scene(provider=provider(scopes=("openid", "offline_access")))
    first = scene.linked()
    again = scene.linked(granted("access-2"))
    assert (again.id, scene.stores.database.links[first.id].refresh_token) == (first.id, Secret("refresh-1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": LinkState.BROKEN},
        {"client_id": "client-0"},
        {"has_refresh_token": False},
        {"refresh_expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_spent_refresh_token_does_not_excuse_that_none_came(changes: dict[str, Any]) -> None:
    scene = Scene(provider=provider(scopes=("openid", "offline_access")))
    row = scene.stores.database.links[scene.linked().id]
    row.link = replace(row.link, **changes)
    scene.client.exchanges = [granted("access-2")]
    scene.begin()
    scene.refused(NoOfflineAccess)


class MuteLinks(FakeLinkStore):
    """A store that commits and then loses its answer."""

    def attach(self, new: NewLink, event: AuditEvent) -> Link:
        super().attach(new, event)
        raise StorageUnavailable("The answer was lost.")


@pytest.mark.parametrize("revokes_grant", [True, False])
def test_a_link_whose_commit_was_not_heard_of_is_there_and_nothing_is_revoked(revokes_grant: bool) -> None:
    scene = Scene(provider=provider(revokes_grant=revokes_grant))
    scene.links = MuteLinks(scene.stores.database)
    link = scene.linked()
    assert (scene.client.revoked, scene.stores.database.outbox) == ([], {})
    assert scene.stores.database.links[link.id].refresh_token == Secret("refresh-1")


def test_what_cannot_be_revoked_at_once_stays_queued() -> None:
    scene = Scene(client=FakeProviderClient(account=LinkDenied("x"), revocation=RevocationResult.FAILED))
    scene.client.exchanges = [granted(refresh="refresh-1")]
    scene.begin()
    scene.refused(LinkDenied)
    assert [row.pending.token for row in scene.stores.database.outbox.values()] == [Secret("refresh-1")]


def test_a_database_that_fails_after_the_exchange_is_the_error_the_person_sees() -> None:
    scene = Scene()

    def down() -> Any:
        scene.stores.database.down = True
        return granted(refresh="refresh-1")

    scene.client.exchanges = [down]
    scene.begin()
    scene.refused(StorageUnavailable)


def test_unlinking_revokes_upstream_and_shows_the_receipt() -> None:
    scene = Scene()
    link = scene.linked()
    (receipt,) = scene.services.unlinking.unlink(SESSION, link_id=link.id)
    assert (receipt.link.id, receipt.link.state, receipt.upstream) == (
        link.id,
        LinkState.REVOKED,
        RevocationResult.CONFIRMED,
    )
    assert (scene.client.revoked, scene.stores.database.outbox) == (["refresh-1"], {})
    assert scene.last_event == AuditEvent("link.removed", "success", SESSION, ADA, "idp1", link.id)


def test_unlinking_a_provider_removes_all_of_the_users_links_there() -> None:
    scene = Scene()
    links = {scene.linked(subject="a-1").id, scene.linked(subject="a-2").id}
    assert {receipt.link.id for receipt in scene.services.unlinking.unlink(BEARER, provider_id="idp1")} == links


@pytest.mark.parametrize(
    ("answer", "receipt", "queued"),
    [
        (RevocationResult.CONFIRMED, RevocationResult.CONFIRMED, 0),
        (RevocationResult.UNSUPPORTED, RevocationResult.UNSUPPORTED, 0),
        (RevocationResult.FAILED, RevocationResult.QUEUED, 1),
        (ProviderUnavailable("no metadata"), RevocationResult.QUEUED, 1),
    ],
)
def test_an_unlinked_token_that_could_not_be_revoked_stays_queued(
    answer: RevocationResult | Exception, receipt: RevocationResult, queued: int
) -> None:
    scene = Scene()
    link = scene.linked()
    scene.client.revocation = answer
    assert [one.upstream for one in scene.services.unlinking.unlink(SESSION, link_id=link.id)] == [receipt]
    assert len(scene.stores.database.outbox) == queued


def test_a_provider_that_does_not_revoke_is_asked_once_for_many_links() -> None:
    scene = Scene()
    for subject in ("a-1", "a-2", "a-3"):
        scene.linked(granted(refresh=f"refresh of {subject}"), subject=subject)
    scene.client.revocation = RevocationResult.FAILED
    receipts = scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    assert [one.upstream for one in receipts] == [RevocationResult.QUEUED] * 3
    assert (len(scene.client.revoked), len(scene.stores.database.outbox)) == (1, 3)


def test_a_link_without_anything_to_revoke_says_so() -> None:
    scene = Scene()
    link = scene.linked(granted("access-1", seconds=1))
    scene.stores.database.clock.advance(timedelta(hours=1))
    assert [one.upstream for one in scene.services.unlinking.unlink(SESSION, link_id=link.id)] == [
        RevocationResult.UNSUPPORTED
    ]


def test_a_token_that_cannot_be_opened_to_be_revoked_is_a_failure() -> None:
    scene = Scene()
    link = scene.linked()
    scene.stores.database.links[link.id].unopenable = True
    assert [one.upstream for one in scene.services.unlinking.unlink(SESSION, link_id=link.id)] == [
        RevocationResult.FAILED
    ]


def test_nothing_linked_is_nothing_to_unlink() -> None:
    assert list(Scene().services.unlinking.unlink(SESSION, provider_id="idp1")) == []


def test_a_link_of_another_user_cannot_be_unlinked() -> None:
    scene = Scene()
    link = scene.linked()
    bob = Caller(CallerKind.SESSION, Identity(ADA.issuer, "bob"))
    assert list(scene.services.unlinking.unlink(bob, link_id=LinkId(link.id))) == []
    assert scene.stores.database.links[link.id].link.state is LinkState.ACTIVE


def test_a_link_at_a_provider_no_longer_offered_can_be_unlinked_and_is_revoked_should_that_come_back() -> None:
    scene = Scene()
    link = scene.linked()
    configured, scene.provider = scene.provider, provider(id=ProviderId("idp2"))
    assert [one.upstream for one in scene.services.unlinking.unlink(SESSION, link_id=link.id)] == [
        RevocationResult.UNSUPPORTED
    ]
    scene.provider = configured
    scene.services.revoker.settle_next()
    assert scene.client.revoked == ["refresh-1"]


def test_unlinking_at_an_unknown_provider_is_not_found() -> None:
    with pytest.raises(UnknownProvider):
        Scene().services.unlinking.unlink(SESSION, provider_id="nope")


def test_the_policy_decides_who_may_unlink() -> None:
    scene = Scene(policy=Policy("tokens"))
    with pytest.raises(PolicyDenied):
        scene.services.unlinking.unlink(BEARER, provider_id="idp1")


def test_parameters_of_the_redirect_are_kept_and_say_nothing_of_the_account() -> None:
    scene = Scene(provider=replace(provider(), subject_field="realmId", keep_callback_fields=("realmId",)))
    scene.client.exchanges = [granted("access", refresh="refresh")]
    scene.begin()
    linked = scene.come_back(realmId="somebody-else")
    [tokens] = scene.client.identified
    assert tokens.extra == {}
    holding = scene.stores.links.read(ADA, linked.provider.id, linked.link.id, "default")
    assert holding is not None
    assert holding.token is not None
    assert holding.token.extra == {"realmId": "somebody-else"}


def test_no_code_is_redeemed_while_an_earlier_link_is_being_revoked() -> None:
    scene = Scene()
    scene.linked()
    scene.client.revocation = RevocationResult.FAILED
    scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    scene.stores.database.clock.advance(timedelta(minutes=2))
    [row] = scene.stores.database.outbox
    scene.stores.outbox.claim(row, timedelta(seconds=30))
    scene.client.exchanges = [granted("access-2", refresh="refresh-2")]
    scene.begin()
    scene.refused(ProviderUnavailable)
    assert len(scene.client.exchanges) == 1
    assert list(scene.stores.database.outbox) == [row]

    scene.stores.outbox.postpone(row, timedelta(minutes=1))
    scene.begin()
    assert scene.come_back().link.state is LinkState.ACTIVE
    assert scene.stores.database.outbox == {}


def test_tokens_whose_grant_is_being_revoked_are_given_back_and_no_link_is_made_of_them() -> None:
    """The revocation began after the code was redeemed."""

    class Late(FakeProviderClient):
        def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
            [row] = scene.stores.database.outbox.values()
            row.next_try_at = scene.stores.database.clock.now
            assert scene.stores.outbox.claim(row.pending.id, timedelta(seconds=30)) is not None
            return super().exchange(provider, attempt, code)

    scene = Scene()
    scene.linked()
    scene.client.revocation = RevocationResult.FAILED
    scene.services.unlinking.unlink(SESSION, provider_id="idp1")
    scene.client = Late(exchanges=[granted("access-2", refresh="refresh-2")])
    scene.begin()
    scene.refused(ProviderUnavailable)
    assert scene.client.revoked == ["refresh-2"]
    assert [row.link.state for row in scene.stores.database.links.values()] == [LinkState.REVOKED]

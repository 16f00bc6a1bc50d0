"""Logging in: the verified person is remembered, every refusal is audited, logout never fails."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from support.core_world import provider
from support.fake_provider import FakeProviderClient, granted
from support.fakes import FakeStores, FullAuditLog, fake_stores
from support.places import taken
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.login import LoggedIn, LoginService
from tokenstore.core.model import (
    LOGIN_PROVIDER,
    Account,
    AuditEvent,
    Callback,
    Granted,
    Identity,
    Origin,
    Profile,
    Provider,
    Refused,
    TokenSet,
)
from tokenstore.core.places import Places
from tokenstore.core.secret import Secret
from tokenstore.errors import (
    AttemptExpired,
    LinkDenied,
    LoginDenied,
    PolicyDenied,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderUnavailable,
    TokenStoreError,
)

ADA = Identity("https://login.example", "ada")


@dataclass
class Scene:
    """A login service over fakes."""

    client: FakeProviderClient = field(
        default_factory=lambda: FakeProviderClient(
            account=Account(ADA.issuer, ADA.subject, "Ada", "ada@example.org", email_verified=True),
            claims={"sub": "ada", "iss": ADA.issuer},
        )
    )
    provider: Provider | None = field(default_factory=lambda: provider(id=LOGIN_PROVIDER))
    stores: FakeStores = field(default_factory=fake_stores)
    places: Places = field(default_factory=Places)

    @property
    def service(self) -> LoginService:
        """The service."""
        stores, client = self.stores, self.client
        return LoginService(
            self.provider,
            stores.users,
            Attempts(stores.attempts, client, self.places),
            CallbackCheck(stores.attempts, client),
            client,
            stores.audit,
            self.places,
        )

    def log_in(self, session_key: str | None = "session-1", **parameters: str) -> LoggedIn:
        """Begin in session-1 and come back in `session_key`."""
        self.service.begin("session-1", "/back")
        return self.come_back(session_key, **parameters)

    def come_back(self, session_key: str | None, **parameters: str) -> LoggedIn:
        """Finish the attempt that was begun last."""
        query = {"state": self.client.begun[-1].state.reveal(), "code": "code-1", **parameters}
        return self.service.complete(session_key, Callback({name: (value,) for name, value in query.items()}))


def test_a_login_gives_the_verified_person_and_leads_back() -> None:
    scene = Scene()
    scene.client.exchanges = [Granted(TokenSet(Secret("a"), id_token=Secret("id")))]
    assert scene.log_in() == LoggedIn(
        Profile(ADA, "Ada", "ada@example.org", email_verified=True), scene.client.claims, Secret("id"), "/back"
    )


def test_a_login_remembers_the_person_and_is_audited() -> None:
    scene = Scene()
    scene.client.exchanges = [granted()]
    scene.log_in()
    assert scene.stores.users.profile(ADA) is not None
    assert scene.stores.database.events == [AuditEvent("login", "success", user=ADA, provider_id="oidc")]


def test_a_disabled_person_is_not_logged_in() -> None:
    scene = Scene()
    scene.stores.users.remember(Profile(ADA))
    scene.stores.database.users[ADA].disabled = True
    scene.client.exchanges = [granted()]
    with pytest.raises(PolicyDenied):
        scene.log_in()
    assert scene.stores.database.events[-1].reason == "policy-denied"


def test_a_refusal_that_cannot_be_audited_is_told_all_the_same() -> None:
    scene = Scene()
    scene.stores = replace(scene.stores, audit=FullAuditLog(scene.stores.database))
    with pytest.raises(LoginDenied):
        scene.log_in(error="access_denied")


@pytest.mark.parametrize(
    ("session_key", "parameters", "error"),
    [
        ("session-2", {}, AttemptExpired),
        (None, {}, AttemptExpired),
        ("session-1", {"iss": "https://evil.example"}, LinkDenied),
        ("session-1", {"error": "access_denied"}, LinkDenied),
    ],
)
def test_a_refused_callback_redeems_nothing_and_is_audited(
    session_key: str | None, parameters: dict[str, str], error: type[TokenStoreError]
) -> None:
    scene = Scene()
    with pytest.raises(error):
        scene.log_in(session_key, **parameters)
    assert scene.client.exchanged == []
    assert scene.stores.database.events == [
        AuditEvent("login.refused", "failure", provider_id="oidc", reason=error.slug)
    ]


def test_a_login_that_finds_no_place_at_the_provider_can_be_completed_later() -> None:
    scene = Scene(places=Places(2, slow_seconds=0))
    scene.client.exchanges = [granted()]
    with taken(scene.places, LOGIN_PROVIDER), pytest.raises(ProviderBusy):
        scene.service.begin("session-1", "/back")
    scene.service.begin("session-1", "/back")
    with taken(scene.places, LOGIN_PROVIDER), pytest.raises(ProviderBusy):
        scene.come_back("session-1")
    assert scene.stores.database.events == []
    assert scene.come_back("session-1").return_url == "/back"


def test_a_callback_without_an_attempt_writes_no_event() -> None:
    scene = Scene()
    with pytest.raises(AttemptExpired):
        scene.log_in(state="unknown")
    assert scene.stores.database.events == []


@pytest.mark.parametrize("answer", [granted(), Refused("invalid_grant")])
def test_the_events_of_a_login_say_where_it_came_from(answer: Granted | Refused) -> None:
    scene, origin = Scene(), Origin("192.0.2.1", "r-1")
    scene.client.exchanges = [answer]
    scene.service.begin("session-1", "/back")
    state = scene.client.begun[-1].state.reveal()
    with suppress(LinkDenied):
        scene.service.complete("session-1", Callback({"state": (state,), "code": ("code-1",)}), origin)
    assert [event.origin for event in scene.stores.database.events] == [origin]


def test_a_denial_at_the_login_provider_says_that_nobody_is_logged_in() -> None:
    scene = Scene()

    with pytest.raises(LoginDenied) as caught:
        scene.log_in(error="access_denied")

    assert (caught.value.slug, caught.value.title) == ("link-denied", "You are not logged in")
    assert caught.value.detail == "Access was not allowed at the login provider. Nothing was stored."


def test_a_code_that_is_refused_is_audited() -> None:
    scene = Scene()
    scene.client.exchanges = [Refused("invalid_grant")]
    with pytest.raises(LinkDenied):
        scene.log_in()
    assert scene.stores.database.events[-1].action == "login.refused"


def test_a_person_whose_id_token_is_not_good_is_not_remembered() -> None:
    scene = Scene()
    scene.client.exchanges = [granted()]
    scene.client.account = LinkDenied("bad ID token")
    with pytest.raises(LinkDenied):
        scene.log_in()
    assert scene.stores.database.users == {}


def test_without_a_login_provider_the_operator_is_asked_for() -> None:
    scene = Scene(provider=None)
    with pytest.raises(ProviderMisconfigured, match="OIDC_DISCOVERY_URL"):
        scene.service.begin("s", "/")
    with pytest.raises(ProviderMisconfigured):
        scene.service.complete("s", Callback({}))


def test_logout_goes_on_at_the_login_provider_where_it_offers_that() -> None:
    scene = Scene(client=FakeProviderClient(end_session="https://login.example/bye"))
    assert scene.service.end_session_url(Secret("id"), "/") == "https://login.example/bye"


@pytest.mark.parametrize("answer", [None, ProviderUnavailable("down")])
def test_logout_ends_here_where_the_login_provider_offers_nothing_or_is_down(answer: Exception | None) -> None:
    assert Scene(client=FakeProviderClient(end_session=answer)).service.end_session_url(None, "/") is None


def test_logout_ends_here_without_a_login_provider() -> None:
    assert Scene(provider=None).service.end_session_url(None, "/") is None

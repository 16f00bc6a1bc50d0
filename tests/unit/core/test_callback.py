"""What a redirect URI accepts: each check, the order of the checks, and that every attempt is used up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from support.core_world import ADA, provider
from support.fake_provider import FakeProviderClient
from support.fakes import FakeStores, fake_stores
from tokenstore.core.callback import Accepted, CallbackCheck, Visitor
from tokenstore.core.model import Attempt, Callback, Identity, Provider, ProviderId, Purpose
from tokenstore.core.ports import CallbackIssuer
from tokenstore.core.secret import Secret
from tokenstore.errors import AttemptExpired, InvalidRequest, LinkDenied, TokenStoreError

GOOD = {"state": ("state-1",), "code": ("code-1",), "iss": ("https://idp.example",)}


@dataclass
class Scene:
    """A browser that comes back with everything right."""

    stores: FakeStores = field(default_factory=fake_stores)
    client: FakeProviderClient = field(default_factory=FakeProviderClient)
    provider: Provider = field(default_factory=provider)
    purpose: Purpose = Purpose.LINK
    visitor: Visitor = field(default_factory=lambda: Visitor("session-1", ADA))
    parameters: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(GOOD))

    def __post_init__(self) -> None:
        self.stores.attempts.save(self.attempt)

    @property
    def attempt(self) -> Attempt:
        """The attempt under way."""
        return Attempt(
            state=Secret("state-1"),
            nonce=Secret("nonce"),
            code_verifier=Secret("verifier"),
            purpose=Purpose.LINK,
            provider_id=ProviderId("idp1"),
            user=ADA,
            session_key="session-1",
            return_url="/",
            scopes=("openid",),
            redirect_uri="https://store.example/back",
            expires_at=fake_stores().attempts.now() + timedelta(minutes=10),
        )

    def accept(self) -> Accepted:
        """Come back."""
        check = CallbackCheck(self.stores.attempts, self.client)
        callback = Callback(self.parameters)
        return check.accept(check.take(callback), callback, self.purpose, self.provider, self.visitor)

    def refusal(self) -> TokenStoreError:
        """Come back and be refused."""
        with pytest.raises(TokenStoreError) as caught:
            self.accept()
        return caught.value


def repeat(name: str) -> Callable[[Scene], None]:
    """A fault: the parameter comes twice."""

    def fault(scene: Scene) -> None:
        scene.parameters[name] = (*scene.parameters.get(name, ("x",)), "y")

    fault.__name__ = f"repeated_{name}"
    return fault


def late(scene: Scene) -> None:
    """A fault: eleven minutes went by."""
    scene.stores.database.clock.advance(timedelta(minutes=11))


def other_provider(scene: Scene) -> None:
    """A fault: the redirect URI of another provider."""
    scene.provider = provider(id=ProviderId("idp2"))


def other_session(scene: Scene) -> None:
    """A fault: another browser, or the same one after its session ended."""
    scene.visitor = replace(scene.visitor, session_key="session-2")


def other_user(scene: Scene) -> None:
    """A fault: somebody else logged in meanwhile."""
    scene.visitor = replace(scene.visitor, user=Identity(ADA.issuer, "bob"))


def foreign_issuer(scene: Scene) -> None:
    """A fault: another authorization server answers."""
    scene.parameters["iss"] = ("https://evil.example",)


def provider_error(scene: Scene) -> None:
    """A fault: the provider says no."""
    scene.parameters["error"] = ("access_denied",)


def no_code(scene: Scene) -> None:
    """A fault: there is nothing to redeem."""
    del scene.parameters["code"]


IN_ORDER: list[tuple[Callable[[Scene], None], type[TokenStoreError], str]] = [
    (repeat("code"), InvalidRequest, "repeats"),
    (late, AttemptExpired, "too late"),
    (other_provider, AttemptExpired, "another provider"),
    (other_session, AttemptExpired, "another session"),
    (other_user, AttemptExpired, "another user"),
    (foreign_issuer, LinkDenied, "another provider"),
    (provider_error, LinkDenied, "access_denied"),
    (no_code, InvalidRequest, "no code"),
]
"""The checks in the order of the security notes: the fault, and how it shows."""


def test_an_attempt_that_comes_back_as_it_left_gives_its_code() -> None:
    scene = Scene()
    assert scene.accept() == Accepted(scene.attempt, Secret("code-1"))


@pytest.mark.parametrize("number", range(len(IN_ORDER)))
def test_each_fault_is_found_before_all_that_come_after_it(number: int) -> None:
    scene = Scene()
    for fault, _, _ in reversed(IN_ORDER[number:]):
        fault(scene)
    refusal = scene.refusal()
    _, kind, words = IN_ORDER[number]
    assert type(refusal) is kind
    assert words in f"{refusal.detail} {refusal.debug}"


@pytest.mark.parametrize(
    "fault", [*(fault for fault, _, _ in IN_ORDER), repeat("state"), repeat("iss"), repeat("error"), repeat("other")]
)
def test_every_fault_uses_the_attempt_up(fault: Callable[[Scene], None]) -> None:
    scene = Scene()
    fault(scene)
    scene.refusal()
    assert scene.stores.database.attempts == {}


def test_an_accepted_attempt_is_used_up() -> None:
    scene = Scene()
    scene.accept()
    assert scene.refusal().debug == "unknown or used"


@pytest.mark.parametrize("state", [None, "", "state-2"])
def test_an_unknown_state_is_refused(state: str | None) -> None:
    scene = Scene()
    del scene.parameters["state"]
    if state is not None:
        scene.parameters["state"] = (state,)
    assert scene.refusal().debug == "unknown or used"


def test_an_attempt_is_good_until_its_last_moment() -> None:
    scene = Scene()
    scene.stores.database.clock.advance(timedelta(minutes=10) - timedelta(milliseconds=1))
    assert scene.accept().code == Secret("code-1")


def test_an_attempt_is_over_at_its_end() -> None:
    scene = Scene()
    scene.stores.database.clock.advance(timedelta(minutes=10))
    assert scene.refusal().debug == "too late"


def test_a_login_attempt_is_no_linking_attempt() -> None:
    scene = Scene(purpose=Purpose.LOGIN)
    assert isinstance(scene.refusal(), AttemptExpired)


@pytest.mark.parametrize("visitor", [Visitor(None, None), Visitor(None, ADA), Visitor("session-1", None)])
def test_a_browser_without_the_session_or_its_user_cannot_finish(visitor: Visitor) -> None:
    assert isinstance(Scene(visitor=visitor).refusal(), AttemptExpired)


def test_what_a_program_began_is_finished_in_any_session_of_its_user() -> None:
    scene = Scene(visitor=Visitor("any session", ADA))
    scene.stores.attempts.save(replace(scene.attempt, session_key=None))
    assert scene.accept().attempt.user == ADA


def test_what_a_program_began_is_not_finished_by_another_user() -> None:
    scene = Scene(visitor=Visitor("any session", Identity(ADA.issuer, "bob")))
    scene.stores.attempts.save(replace(scene.attempt, session_key=None))
    assert scene.refusal().debug == "another user"


def test_a_login_has_no_user_yet() -> None:
    scene = Scene(purpose=Purpose.LOGIN, visitor=Visitor("session-1", None))
    scene.stores.attempts.save(replace(scene.attempt, purpose=Purpose.LOGIN, user=None))
    assert scene.accept().attempt.purpose is Purpose.LOGIN


@pytest.mark.parametrize(
    ("sent", "expected", "required", "accepted"),
    [
        (None, "https://idp.example", False, True),
        (None, "https://idp.example", True, False),
        ("https://idp.example", "https://idp.example", True, True),
        ("https://idp.example/", "https://idp.example", False, False),
        ("", "https://idp.example", False, False),
        ("https://idp.example", None, False, True),
    ],
)
def test_iss_is_compared_when_it_comes_and_demanded_where_it_was_announced(
    sent: str | None, expected: str | None, *, required: bool, accepted: bool
) -> None:
    scene = Scene(client=FakeProviderClient(issuer=CallbackIssuer(expected, required)))
    del scene.parameters["iss"]
    if sent is not None:
        scene.parameters["iss"] = (sent,)
    if accepted:
        assert scene.accept().code == Secret("code-1")
    else:
        assert isinstance(scene.refusal(), LinkDenied)


@pytest.mark.parametrize("error", ["access_denied", "server_error", "<script>", ""])
def test_the_error_of_a_provider_is_never_repeated_to_the_person(error: str) -> None:
    scene = Scene()
    scene.parameters["error"] = (error,)
    refusal = scene.refusal()
    assert isinstance(refusal, LinkDenied)
    assert not error or error not in refusal.detail


@pytest.mark.parametrize("code", [("",), ()])
def test_an_empty_code_is_no_code(code: tuple[str, ...]) -> None:
    scene = Scene()
    scene.parameters["code"] = code
    assert isinstance(scene.refusal(), InvalidRequest)


def test_nothing_is_redeemed_by_the_check_itself() -> None:
    scene = Scene()
    scene.accept()
    assert scene.client.exchanged == []

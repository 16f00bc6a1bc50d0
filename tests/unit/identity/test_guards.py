"""Who is calling: `Authorization` decides where it is there, the session only where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask, session
from typing_extensions import override

from support.logins import FakeLogins
from tokenstore.core.login import LoggedIn
from tokenstore.core.model import CallerKind, Identity, Profile
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, PolicyDenied, Unauthenticated
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.browser import SessionScheme, id_token, keep_login, known_session_key, session_key
from tokenstore.identity.guards import Guards
from tokenstore.identity.user import Authenticated

EVE = Identity("https://login.example", "eve")
LOGIN = UUID("00000000-0000-4000-8000-000000000001")
BOB: dict[str, Any] = {"iss": "https://login.example", "sub": "bob", "exp": 2_000_000_000}
ADA = LoggedIn(
    Profile(Identity("https://login.example", "ada"), "Ada"), {"sub": "ada", "name": "Ada"}, Secret("id-token"), "/"
)


def verify(token: Secret) -> Mapping[str, Any]:
    """Two tokens are good: Bob's and Eve's, who is disabled."""
    if token == Secret("eves"):
        return {**BOB, "sub": "eve"}
    if token != Secret("bobs"):
        raise BadCredentials("The access token is not valid.")
    return BOB


class OneLogin(FakeLogins):
    """Ada's login is there until it is over."""

    over = False

    @override
    def holder(self, login_id: UUID) -> Identity | None:
        return ADA.profile.identity if login_id == LOGIN and not self.over else None


class Untouchable(SessionScheme):
    """A session that nobody may look at."""

    def authenticate(self) -> Authenticated | None:
        raise AssertionError("the session was looked at")


@pytest.fixture
def app() -> Flask:
    made = Flask("test")
    made.secret_key = "for tests"
    return made


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(1000))


@pytest.fixture
def logins() -> OneLogin:
    return OneLogin()


@pytest.fixture
def guards(numbers: Iterator[int], logins: OneLogin) -> Guards:
    roles = ("roles",)
    session = SessionScheme(roles, logins)
    return Guards([BearerScheme(verify, roles)], session, lambda: f"request-{next(numbers)}", {EVE})


def test_nobody_is_unauthenticated(app: Flask, guards: Guards) -> None:
    with app.test_request_context(), pytest.raises(Unauthenticated):
        guards.require_user()


def test_a_session_names_the_person_who_logged_in(app: Flask, guards: Guards) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.7"}):
        keep_login(ADA, LOGIN)
        got = guards.require_user()
        assert (got.caller.kind, got.caller.identity) == (CallerKind.SESSION, ADA.profile.identity)
        assert (got.caller.session_key, got.caller.address) == (session_key(), "192.0.2.7")
        assert (got.user.name, got.caller.request_id) == ("Ada", "request-0")


def test_a_bearer_token_counts_before_a_session(app: Flask, guards: Guards) -> None:
    with app.test_request_context(headers={"Authorization": "Bearer bobs"}):
        keep_login(ADA, LOGIN)
        got = guards.require_user()
        assert (got.caller.kind, got.caller.identity.subject, got.caller.session_key) == (
            CallerKind.BEARER,
            "bob",
            None,
        )


@pytest.mark.parametrize("header", ["Bearer forged", "Basic eDp5", ""])
def test_bad_credentials_are_not_rescued_by_a_session(app: Flask, guards: Guards, header: str) -> None:
    with app.test_request_context(headers={"Authorization": header}):
        keep_login(ADA, LOGIN)
        with pytest.raises(BadCredentials):
            guards.require_user()


def test_a_bearer_request_never_looks_at_the_session(app: Flask) -> None:
    guards = Guards([BearerScheme(verify, ())], Untouchable((), OneLogin()), lambda: "request-0")
    with app.test_request_context(headers={"Authorization": "Bearer bobs"}):
        assert guards.require_user().caller.kind is CallerKind.BEARER
    with app.test_request_context(headers={"Authorization": "Bearer forged"}), pytest.raises(BadCredentials):
        guards.require_user()


def test_a_request_is_authenticated_once(app: Flask, guards: Guards) -> None:
    with app.test_request_context():
        keep_login(ADA, LOGIN)
        first = guards.require_user()
        session.clear()
        assert guards.require_user() is first


def test_a_callback_knows_the_person_at_the_browser_only(app: Flask, guards: Guards) -> None:
    with app.test_request_context(headers={"Authorization": "Bearer bobs"}):
        assert guards.visitor() is None
        keep_login(ADA, LOGIN)
        visitor = guards.visitor()
        assert visitor is not None
        assert (visitor.caller.identity.subject, visitor.caller.request_id) == ("ada", "request-0")


def test_looking_for_a_person_makes_no_session(app: Flask, guards: Guards) -> None:
    with app.test_request_context():
        assert guards.visitor() is None
        assert known_session_key() is None
        assert not session.modified


def test_the_session_key_is_made_once_and_anew_at_a_login(app: Flask) -> None:
    with app.test_request_context():
        before = session_key()
        assert before == session_key() == known_session_key()
        keep_login(ADA, LOGIN)
        assert before != session_key() == known_session_key()


def test_the_id_token_is_kept_for_the_logout(app: Flask) -> None:
    with app.test_request_context():
        assert id_token() is None
        keep_login(ADA, LOGIN)
        assert id_token() == Secret("id-token")


def test_a_login_without_id_token_keeps_none(app: Flask) -> None:
    with app.test_request_context():
        keep_login(LoggedIn(ADA.profile, ADA.claims, None, "/"), LOGIN)
        assert id_token() is None


def test_a_session_whose_login_is_over_is_emptied(app: Flask, guards: Guards, logins: OneLogin) -> None:
    with app.test_request_context():
        keep_login(ADA, LOGIN)
        logins.over = True
        with pytest.raises(Unauthenticated):
            guards.require_user()
        assert not dict(session)


def test_a_session_of_another_login_is_nobodys(app: Flask, guards: Guards) -> None:
    with app.test_request_context():
        keep_login(ADA, uuid4())
        assert guards.visitor() is None


def test_a_disabled_user_may_not_come_in_with_good_credentials(app: Flask, guards: Guards) -> None:
    with app.test_request_context(headers={"Authorization": "Bearer eves"}), pytest.raises(PolicyDenied):
        guards.require_user()

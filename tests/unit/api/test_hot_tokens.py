"""The way past Flask: who and what is served there, and that all else reaches the view as it came."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from support.core_world import ADA, World
from tokenstore.api.hot_tokens import HotTokens
from tokenstore.core.model import Identity
from tokenstore.errors import StorageUnavailable
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.known import KnownPrograms
from tokenstore.web.metrics import ROUTE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/api/v1.0/idp1/token"
PLAIN = {"REQUEST_METHOD": "GET", "PATH_INFO": PATH, "HTTP_AUTHORIZATION": "Bearer good"}


class Outage:
    """The disabled users while the database is away."""

    def __contains__(self, _identity: object) -> bool:
        raise StorageUnavailable("The database cannot be used at present.")


class Front:
    """The middleware before a view that says which requests reached it. `verified`: the good token was here before."""

    def __init__(self, world: World, disabled: Any = frozenset(), *, verified: bool = True) -> None:
        claims = {"iss": ADA.issuer, "sub": ADA.subject, "exp": 10_000_000_000}
        scheme = BearerScheme(lambda _token: claims, ())
        if verified:
            with Flask("test").test_request_context(headers={"Authorization": "Bearer good"}):
                scheme.authenticate()
        self.reached: list[WSGIEnvironment] = []
        self.wsgi = HotTokens(self._view, world.tokens, KnownPrograms(scheme, disabled))

    def _view(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.reached.append(environ)
        start_response("418 I'm a teapot", [])
        return [b"the view"]

    def ask(self, **changes: str) -> tuple[str, bytes]:
        """Status and body of a request."""
        said: list[str] = []

        def start_response(status: str, _headers: object, _exc_info: object = None) -> Any:
            said.append(status)

        body = b"".join(self.wsgi({**PLAIN, **changes}, start_response))
        return said[0], body


@pytest.fixture
def world() -> World:
    made = World()
    made.link()
    return made


def test_a_plain_request_of_a_known_program_does_not_reach_the_view(world: World) -> None:
    front = Front(world)
    status, body = front.ask()
    assert (status, json.loads(body)["access_token"], front.reached) == ("200 OK", "access-1", [])


def test_it_counts_as_a_hand_out_of_a_used_link(world: World) -> None:
    Front(world).ask()
    world.usage.flush()
    assert (world.metrics.hand_outs, len(world.used.batches)) == ([("idp1", True)], 1)


def test_it_counts_under_the_route_of_the_view(world: World) -> None:
    environ: dict[str, Any] = dict(PLAIN)
    b"".join(Front(world).wsgi(environ, lambda *_: lambda _part: None))
    assert environ[ROUTE] == "/api/v1.0/<provider>/token"


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "POST"},
        {"REQUEST_METHOD": "HEAD"},
        {"QUERY_STRING": "min_valid=60"},
        {"HTTP_ORIGIN": "https://app.example"},
        {"PATH_INFO": "/api/v1.0/unknown/token"},
        {"PATH_INFO": "/api/v1.0/idp1/tokens"},
        {"PATH_INFO": "/api/v1.0/idp1/x/token"},
        {"PATH_INFO": "/api/v1.0/token"},
        {"HTTP_AUTHORIZATION": "Bearer other"},
        {"HTTP_AUTHORIZATION": "Basic good"},
        {"HTTP_AUTHORIZATION": ""},
    ],
)
def test_whatever_is_not_plain_reaches_the_view_as_it_came(world: World, changes: dict[str, str]) -> None:
    front = Front(world)
    assert front.ask(**changes) == ("418 I'm a teapot", b"the view")
    assert front.reached == [{**PLAIN, **changes}]


def test_a_token_that_was_not_verified_lately_reaches_the_view(world: World) -> None:
    assert Front(world, verified=False).ask()[1] == b"the view"


def test_a_disabled_user_reaches_the_view(world: World) -> None:
    assert Front(world, {ADA}).ask()[1] == b"the view"
    assert Front(world, {Identity(ADA.issuer, "somebody else")}).ask()[0] == "200 OK"


def test_an_outage_is_told_by_the_view(world: World) -> None:
    assert Front(world, Outage()).ask()[1] == b"the view"


@pytest.mark.parametrize("seconds", [3300, 3590, 4000])
def test_a_token_that_needs_a_refresh_soon_reaches_the_view(world: World, seconds: int) -> None:
    world.advance(seconds)
    front = Front(world)
    front.ask()
    assert (len(front.reached), world.client.refresh_calls) == (1, [])


def test_nothing_that_is_linked_reaches_the_view_either() -> None:
    assert Front(World()).ask()[1] == b"the view"

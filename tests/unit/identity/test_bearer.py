"""Bearer tokens: what is taken for one, and how long a verification is believed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials
from tokenstore.identity import bearer
from tokenstore.identity.bearer import BearerScheme, caller_from_claims
from tokenstore.identity.user import Authenticated

APP = Flask("test")
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example",
    "sub": "ada",
    "azp": "notebook",
    "scope": "openid tokens",
    "exp": 1_000_600,
}


@dataclass
class Scene:
    """A scheme whose verifier knows tokens by their text and counts."""

    known: dict[str, Mapping[str, Any]] = field(default_factory=lambda: {"good": CLAIMS})
    verified: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.scheme = BearerScheme(
            self.verify, ("roles",), clock=lambda: 1_000_000 + self.seconds, monotonic=lambda: 50 + self.seconds
        )

    def verify(self, token: Secret) -> Mapping[str, Any]:
        """The claims of a known token."""
        self.verified.append(token.reveal())
        if token.reveal() not in self.known:
            raise BadCredentials("The access token is not valid.")
        return self.known[token.reveal()]

    def ask(self, header: str | None) -> Authenticated | None:
        """A request with this `Authorization`."""
        headers = {} if header is None else {"Authorization": header}
        with APP.test_request_context(headers=headers):
            return self.scheme.authenticate()


def test_without_the_header_nobody_claims_to_be_anybody() -> None:
    assert Scene().ask(None) is None


@pytest.mark.parametrize("header", ["Bearer good", "bearer good", "BEARER  good "])
def test_a_good_token_names_its_caller(header: str) -> None:
    got = Scene().ask(header)
    assert got is not None
    assert got.caller == Caller(
        CallerKind.BEARER,
        Identity("https://login.example", "ada"),
        client="notebook",
        scopes=frozenset({"openid", "tokens"}),
    )
    assert got.user.id == "ada"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer    ", "good", f"Basic {base64.b64encode(b'ada:x').decode()}", "Token good"],
)
def test_any_other_header_is_refused_and_verifies_nothing(header: str) -> None:
    scene = Scene()
    with pytest.raises(BadCredentials):
        scene.ask(header)
    assert scene.verified == []


def test_two_tokens_in_one_header_are_none() -> None:
    with pytest.raises(BadCredentials):
        Scene().ask("Bearer good,Bearer good")


def test_a_verified_token_is_believed_for_thirty_seconds() -> None:
    scene = Scene()
    scene.ask("Bearer good")
    scene.seconds = 29.9
    scene.ask("Bearer good")
    assert scene.verified == ["good"]
    scene.seconds = 30
    scene.ask("Bearer good")
    assert scene.verified == ["good", "good"]


def test_a_verified_token_is_not_believed_past_its_own_end() -> None:
    scene = Scene(known={"good": {**CLAIMS, "exp": 1_000_005}})
    scene.ask("Bearer good")
    scene.seconds = 5
    scene.ask("Bearer good")
    assert len(scene.verified) == 2


def test_a_refusal_is_not_remembered() -> None:
    scene = Scene(known={})
    for _ in range(2):
        with pytest.raises(BadCredentials):
            scene.ask("Bearer later")
    scene.known["later"] = CLAIMS
    assert scene.ask("Bearer later") is not None


def test_one_token_does_not_answer_for_another() -> None:
    scene = Scene(known={"good": CLAIMS, "other": {**CLAIMS, "sub": "bob"}})
    scene.ask("Bearer good")
    got = scene.ask("Bearer other")
    assert got is not None
    assert got.caller.identity.subject == "bob"


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    most = bearer.REMEMBER_MOST
    scene = Scene(known={f"t{number}": CLAIMS for number in range(most + 1)})
    for number in range(most + 1):
        scene.ask(f"Bearer t{number}")
    scene.ask(f"Bearer t{most}")
    assert len(scene.verified) == most + 1
    scene.ask("Bearer t0")
    assert scene.verified[-1] == "t0"


@pytest.mark.parametrize("name", ["iss", "sub"])
@pytest.mark.parametrize("value", [None, "", 7, ["ada"], "a\0b", "a\ud800", "a\nb", "a" * 256], ids=ascii)
def test_a_token_that_does_not_say_whose_it_is_in_storable_text_is_nobodys(name: str, value: object) -> None:
    with pytest.raises(BadCredentials):
        caller_from_claims({**CLAIMS, name: value})


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({"azp": "c", "client_id": "c"}, "c"),
        ({"azp": "a", "client_id": "c"}, None),
        ({"azp": "a\0b"}, None),
        ({"azp": "a" * 256}, None),
        ({"azp": None, "client_id": "c"}, "c"),
        ({"azp": None}, None),
        ({"azp": ["a"]}, None),
    ],
)
def test_the_client_is_the_one_that_the_token_names_without_contradiction(
    claims: dict[str, Any], client: str | None
) -> None:
    assert caller_from_claims({**CLAIMS, **claims}).client == client

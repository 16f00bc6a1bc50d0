"""What an introspection answer has to hold before a token is taken (RFC 7662 section 2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from support.issuing import CLIENT_ID, ISSUER, NOW
from tokenstore.providers.introspection import read_introspection
from tokenstore.providers.signed import TokenRefused

NOW_SECONDS = int(NOW.timestamp())
GOOD: dict[str, Any] = {
    "active": True,
    "iss": ISSUER,
    "sub": "ada",
    "aud": [CLIENT_ID],
    "client_id": "notebook",
    "token_type": "Bearer",
    "scope": "openid",
    "exp": NOW_SECONDS + 300,
}


def read(parties: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """What is made of a good answer with these changes; None leaves a member out."""
    answer = {name: value for name, value in (GOOD | changes).items() if value is not None}
    claims = read_introspection(answer, issuer=ISSUER, audiences=(CLIENT_ID,), authorized_parties=parties, now=NOW)
    return dict(claims)


def test_a_good_answer_gives_its_claims() -> None:
    assert read() == {name: value for name, value in GOOD.items() if name != "active"}


def test_the_issuer_is_the_one_that_was_asked_unless_it_says_so_itself() -> None:
    assert read(iss=None)["iss"] == ISSUER


def test_a_token_without_a_said_end_is_taken() -> None:
    assert "exp" not in read(exp=None)


@pytest.mark.parametrize("mark", [{"typ": "Bearer"}, {"token_use": "access_token"}, {"token_type": "bearer"}])
def test_one_mark_of_an_access_token_is_enough(mark: dict[str, Any]) -> None:
    assert read(**{"token_type": None, **mark})["sub"] == "ada"


def test_a_party_that_is_authorized_is_taken() -> None:
    assert read(parties=("notebook",))["client_id"] == "notebook"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "inactive"),
        ({"active": None}, "inactive"),
        ({"active": "true"}, "inactive"),
        ({"active": 1}, "inactive"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "audience"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"exp": NOW_SECONDS - 61}, "expired"),
        ({"exp": "later"}, "exp"),
        ({"nbf": NOW_SECONDS + 120}, "not-yet-valid"),
        ({"token_type": None}, "typ"),
        ({"typ": "Refresh"}, "typ"),
        ({"token_use": "refresh_token"}, "typ"),
        ({"token_type": "refresh_token"}, "typ"),
        ({"token_type": ["Bearer"]}, "typ"),
        ({"cnf": {"jkt": "thumbprint"}}, "cnf"),
        ({"cnf": {"x5t#S256": "thumbprint"}}, "cnf"),
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        read(**changes)
    assert caught.value.reason == reason


@pytest.mark.parametrize("changes", [{"client_id": "other"}, {"client_id": None}, {"azp": "other"}])
def test_a_party_that_is_not_authorized_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match="azp"):
        read(parties=("notebook",), **changes)

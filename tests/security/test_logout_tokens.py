"""Forged, old, replayed and misused logout tokens end nobody's login (OIDC Back-Channel Logout 1.0 section 2.6)."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import Key

from support.issuing import (
    CLIENT_ID,
    ISSUER,
    NOW,
    OTHER_RSA,
    RSA,
    make_provider,
    public_keys,
    sign,
    sign_with_public_key,
)
from tokenstore.core.model import LogoutNotice
from tokenstore.core.secret import Secret
from tokenstore.errors import InvalidRequest
from tokenstore.providers.jwks import read_key_set
from tokenstore.providers.logouttoken import verify_logout_token

EVENT = "http://schemas.openid.net/event/backchannel-logout"
KEYS = read_key_set(public_keys(RSA))
NOW_SECONDS = int(NOW.timestamp())


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good logout token, changed as asked; None leaves one out."""
    good: dict[str, Any] = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "iat": NOW_SECONDS - 1,
        "exp": NOW_SECONDS + 120,
        "jti": "jti-1",
        "events": {EVENT: {}},
        "sub": "ada",
        "sid": "sid-1",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def verify(token: Secret) -> LogoutNotice:
    return verify_logout_token(token, make_provider(), KEYS, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "JWT", None])
def test_a_good_token_says_whose_logins_end(typ: str | None) -> None:
    assert verify(sign(claims(), typ=typ)) == LogoutNotice(ISSUER, "jti-1", "ada", "sid-1")


@pytest.mark.parametrize(("left_out", "said"), [("sub", (None, "sid-1")), ("sid", ("ada", None))])
def test_a_subject_or_a_session_is_enough(left_out: str, said: tuple[str | None, str | None]) -> None:
    notice = verify(sign(claims(**{left_out: None})))
    assert (notice.subject, notice.sid) == said


def test_keycloaks_mark_is_taken() -> None:
    assert verify(sign(claims(typ="Logout"))).subject == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"aud": None},
        {"iat": NOW_SECONDS - 121},
        {"iat": NOW_SECONDS + 120},
        {"iat": None},
        {"exp": NOW_SECONDS - 61},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 513},
        {"jti": 7},
        {"sub": None, "sid": None},
        {"sub": ["ada"]},
        {"nonce": "n"},
        {"nonce": ""},
        {"events": None},
        {"events": {}},
        {"events": [EVENT]},
        {"events": {EVENT: True}},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"typ": "ID"},
        {"typ": "Bearer"},
    ],
    ids=str,
)
def test_a_token_that_says_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        verify(sign(claims(**changes)))


@pytest.mark.parametrize("typ", ["at+jwt", "id+jwt", "secevent+jwt", ""])
def test_a_token_of_another_type_is_refused(typ: str) -> None:
    with pytest.raises(InvalidRequest):
        verify(sign(claims(), typ=typ))


@pytest.mark.parametrize("key", [OTHER_RSA])
def test_a_token_of_another_key_is_refused(key: Key) -> None:
    with pytest.raises(InvalidRequest):
        verify(sign(claims(), key))


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        verify(sign_with_public_key(claims()))


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 10_000, "opaque"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        verify(Secret(text))

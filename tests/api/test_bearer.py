"""Access tokens of the login provider at the API: which are taken, and what a refusal looks like."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from demo.signing import SigningKeys
from demo.world import CLIENT_ID
from support.store import API, Store, StorePerson


def claims_of(store: Store, person: StorePerson) -> dict[str, Any]:
    """Claims that a good access token has."""
    now = int(time.time())
    login = store.world.login
    return {"iss": login.issuer, "sub": person.login.subject, "aud": CLIENT_ID, "iat": now, "exp": now + 600}


def assert_refused(store: Store, bearer: str) -> None:
    answer = store.call("GET", "/api/whoami", bearer=bearer)

    assert (answer.status, answer.slug) == (401, "invalid-token"), answer.text
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tokenstore", error="invalid_token"'


def test_a_good_access_token_is_taken(store: Store, person: StorePerson) -> None:
    answer = store.call("GET", "/api/whoami", bearer=person.bearer())

    assert (answer.status, answer.json()["id"]) == (200, person.login.subject)


def test_a_bearer_request_gets_no_cookie(person: StorePerson) -> None:
    answers = [person.call("GET", path) for path in ("/api/whoami", f"{API}/authorizations", f"{API}/idp1/token")]

    assert [answer.headers["Set-Cookie"] for answer in answers] == [None, None, None]


def test_a_bad_bearer_token_is_not_saved_by_a_good_session(person: StorePerson) -> None:
    person.log_in()

    answer = person.session_call("GET", "/api/whoami", bearer="nonsense")

    assert (answer.status, answer.slug) == (401, "invalid-token")


def test_a_bearer_token_counts_before_the_session(store: Store, person: StorePerson) -> None:
    other = store.person()
    person.log_in()

    answer = person.session_call("GET", "/api/whoami", bearer=other.bearer())

    assert answer.json()["id"] == other.login.subject


@pytest.mark.parametrize("audience", ["other", ["other", "another"], []])
def test_a_token_for_another_audience_is_refused(store: Store, person: StorePerson, audience: str | list[str]) -> None:
    assert_refused(store, person.bearer(audience))


def test_a_token_for_several_audiences_is_taken_if_we_are_one(store: Store, person: StorePerson) -> None:
    assert store.call("GET", "/api/whoami", bearer=person.bearer(["other", CLIENT_ID])).status == 200


@pytest.mark.parametrize("issuer", ["https://evil.example", ""])
def test_a_token_of_another_issuer_is_refused(store: Store, person: StorePerson, issuer: str) -> None:
    assert_refused(store, person.bearer(iss=issuer))


def test_an_issuer_with_a_slash_too_many_is_refused(store: Store, person: StorePerson) -> None:
    assert_refused(store, person.bearer(iss=store.world.login.issuer + "/"))


def test_an_expired_token_is_refused(store: Store, person: StorePerson) -> None:
    assert_refused(store, person.bearer(expires_in=-120))


def test_a_token_without_an_end_is_refused(store: Store, person: StorePerson) -> None:
    claims = claims_of(store, person)
    del claims["exp"]

    assert_refused(store, store.world.login.state.keys.sign(claims, typ="at+jwt"))


def test_a_token_without_a_subject_is_refused(store: Store, person: StorePerson) -> None:
    claims = claims_of(store, person)
    del claims["sub"]

    assert_refused(store, store.world.login.state.keys.sign(claims, typ="at+jwt"))


@pytest.mark.parametrize("mark", [{"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}])
def test_an_id_token_is_refused(store: Store, person: StorePerson, mark: dict[str, str]) -> None:
    assert_refused(store, store.world.login.state.keys.sign({**claims_of(store, person), **mark}, typ="JWT"))


def test_a_token_signed_with_a_shared_secret_is_refused(store: Store, person: StorePerson) -> None:
    secret = OctKey.import_key(store.world.login.config.clients[0].client_secret)
    header = {"alg": "HS256", "typ": "at+jwt"}

    assert_refused(store, jwt.encode(header, claims_of(store, person), secret, ["HS256"]))


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(store: Store, person: StorePerson) -> None:
    public = store.world.login.state.keys.current()
    secret = OctKey.import_key(public.as_pem(private=False).replace(b"-", b"_"))
    header = {"alg": "HS256", "typ": "at+jwt", "kid": public.kid}

    assert_refused(store, jwt.encode(header, claims_of(store, person), secret, ["HS256"]))


def test_a_token_signed_with_a_foreign_key_is_refused(store: Store, person: StorePerson) -> None:
    assert_refused(store, SigningKeys().sign(claims_of(store, person), typ="at+jwt"))


def test_an_unsigned_token_is_refused(store: Store, person: StorePerson) -> None:
    parts = (json.dumps(part).encode() for part in ({"alg": "none", "typ": "at+jwt"}, claims_of(store, person)))
    encoded = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    assert_refused(store, f"{encoded}.")


def test_a_changed_token_is_refused(store: Store, person: StorePerson) -> None:
    header, _, signature = person.bearer().split(".")
    claims = json.dumps({**claims_of(store, person), "sub": "somebody else"}).encode()

    assert_refused(store, f"{header}.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{signature}")


@pytest.mark.parametrize("bearer", ["nonsense", "a.b", "a.b.c", "a.b.c.d.e", "." * 5, "x" * 9000])
def test_what_is_no_token_is_refused(store: Store, bearer: str) -> None:
    assert_refused(store, bearer)


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Token abc"])
def test_other_authorization_schemes_are_refused(store: Store, header: str) -> None:
    answer = store.call("GET", "/api/whoami", headers={"Authorization": header})

    assert (answer.status, answer.slug) == (401, "invalid-token")


def test_a_verified_token_is_not_taken_past_its_end(store: Store, person: StorePerson) -> None:
    # Within the leeway now; remembering it must not stretch that.
    bearer = person.bearer(expires_in=1)
    assert store.call("GET", "/api/whoami", bearer=bearer).status == 200

    login = store.world.login.state
    assert_refused(store, login.mint_access_token(person.login.subject, CLIENT_ID, expires_in=-3600))

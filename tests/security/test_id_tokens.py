"""Forged and stray tokens: ID tokens at linking and login, access tokens at our API. All refused, good ones taken."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from support.issuing import (
    ACCESS_TOKEN,
    CLIENT_ID,
    EC,
    ISSUER,
    NONCE,
    NOW,
    OKP,
    OTHER_RSA,
    RSA,
    access_claims,
    id_claims,
    make_provider,
    public_keys,
    sign,
    sign_raw,
    sign_with_public_key,
)
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials
from tokenstore.providers.accesstoken import authorized_party, verify_access_token
from tokenstore.providers.idtoken import verify_id_token
from tokenstore.providers.jwks import read_key_set
from tokenstore.providers.signed import MAX_TOKEN, TokenRefused

KEYS = read_key_set(public_keys(RSA, EC, OKP))
PROVIDER = make_provider(id_token_algorithms=("RS256", "PS256", "ES256", "EdDSA", "Ed25519"))
AT = int(NOW.timestamp())
RS256 = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}


def check_id(token: Secret) -> dict[str, Any]:
    return dict(
        verify_id_token(
            token, PROVIDER, KEYS, issuer=ISSUER, nonce=Secret(NONCE), access_token=Secret(ACCESS_TOKEN), now=NOW
        )
    )


def check_access(token: Secret, **changes: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": [CLIENT_ID],
        "algorithms": PROVIDER.id_token_algorithms,
        "now": NOW,
        **changes,
    }
    return dict(verify_access_token(token, KEYS, **rules))


def half_hash(text: str, name: str = "sha256") -> str:
    digest = hashlib.new(name, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def with_members(token: Secret, **changes: Any) -> Secret:
    """The header changed after signing."""
    header, payload, signature = token.reveal().split(".")
    members = json.loads(base64.urlsafe_b64decode(header + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**members, **changes}).encode()).rstrip(b"=").decode()
    return Secret(f"{forged}.{payload}.{signature}")


# Forgeries of the signature and of the form: neither kind of token may accept them.
FORGED: dict[str, Callable[[dict[str, Any]], Secret]] = {
    "algorithm none": lambda claims: Secret(sign_raw({"alg": "none"}, claims).reveal().rsplit(".", 1)[0] + "."),
    "algorithm none with a signature": lambda claims: sign_raw({"alg": "none", "kid": "rsa"}, claims),
    "algorithm None": lambda claims: sign_raw({"alg": "None", "kid": "rsa"}, claims),
    "no algorithm": lambda claims: sign_raw({"kid": "rsa"}, claims),
    "algorithm is a list": lambda claims: sign_raw({"alg": ["RS256"], "kid": "rsa"}, claims),
    "HS256 with the public key": sign_with_public_key,
    "HS256 with a key of its own": lambda claims: sign(claims, OctKey.generate_key(256), kid="rsa"),
    "RS512, which is not pinned": lambda claims: sign(claims, RSA, alg="RS512"),
    "another key under the same id": lambda claims: sign(claims, OTHER_RSA),
    "another key, brought as jwk": lambda claims: sign(claims, OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)),
    "another key, brought as jwk without kid": lambda claims: sign(
        claims, OTHER_RSA, kid=None, jwk=OTHER_RSA.as_dict(private=False)
    ),
    "another key, pointed to by jku": lambda claims: sign(claims, OTHER_RSA, jku="https://evil.example/jwks"),
    "another key, pointed to by x5u": lambda claims: sign(claims, OTHER_RSA, x5u="https://evil.example/cert"),
    "another key, brought as x5c": lambda claims: sign(claims, OTHER_RSA, x5c=["MIIB"]),
    "unknown key id": lambda claims: sign(claims, RSA, kid="someone"),
    "key id of another type": lambda claims: sign(claims, RSA, kid="ec"),
    "key id is a path": lambda claims: sign(claims, RSA, kid="../../dev/null"),
    "key id is a number": lambda claims: sign_raw({**RS256, "kid": 1}, claims),
    "no key id among several keys of the type": lambda claims: sign(claims, OTHER_RSA, kid=None),
    "unknown crit": lambda claims: sign_raw({**RS256, "crit": ["exp"], "exp": AT + 300}, claims),
    "crit of something absent": lambda claims: sign_raw({**RS256, "crit": ["bork"]}, claims),
    "empty crit": lambda claims: sign_raw({**RS256, "crit": []}, claims),
    "unencoded payload": lambda claims: sign_raw({**RS256, "b64": False, "crit": ["b64"]}, claims),
    "header changed after signing": lambda claims: with_members(sign(claims), typ="at+jwt"),
    "algorithm changed after signing": lambda claims: with_members(sign(claims), alg="PS256"),
    "signature cut": lambda claims: Secret(sign(claims).reveal()[:-4]),
    "signature of zeros": lambda claims: Secret(sign(claims).reveal().rsplit(".", 1)[0] + "." + "A" * 342),
    "signature missing": lambda claims: Secret(sign(claims).reveal().rsplit(".", 1)[0] + "."),
    "ES256 signature of zeros": lambda claims: Secret(sign(claims, EC).reveal().rsplit(".", 1)[0] + "." + "A" * 86),
    "payload of another token": lambda claims: Secret(
        ".".join(
            (
                sign(claims).reveal().split(".")[0],
                sign({**claims, "sub": "admin"}).reveal().split(".")[1],
                sign(claims).reveal().split(".")[2],
            )
        )
    ),
    "two segments": lambda claims: Secret(".".join(sign(claims).reveal().split(".")[:2])),
    "four segments": lambda claims: Secret(sign(claims).reveal() + ".AAAA"),
    "JSON serialization": lambda claims: Secret(json.dumps({"payload": sign(claims).reveal()})),
    "spaces around": lambda claims: Secret(f" {sign(claims).reveal()}\n"),
    "padding": lambda claims: Secret(sign(claims).reveal() + "="),
    "too long": lambda claims: sign({**claims, "filler": "x" * MAX_TOKEN}),
    "payload is a list": lambda claims: sign_raw(RS256, [claims]),
    "payload is no JSON": lambda _: sign_raw(RS256, b"hello"),
    "payload with a claim twice": lambda claims: sign_raw(
        RS256, json.dumps(claims)[:-1].encode() + b', "sub": "admin"}'
    ),
    "payload with NaN": lambda claims: sign_raw(RS256, json.dumps({**claims, "exp": float("nan")}).encode()),
    "payload deeply nested": lambda claims: sign_raw(RS256, {**claims, "deep": json.loads("[" * 60 + "]" * 60)}),
    "expired": lambda claims: sign({**claims, "exp": AT - 61}),
    "no end": lambda claims: sign({name: value for name, value in claims.items() if name != "exp"}),
    "end is a text": lambda claims: sign({**claims, "exp": str(AT + 300)}),
    "end is true": lambda claims: sign({**claims, "exp": True}),
    "end is infinite": lambda claims: sign_raw(
        RS256, json.dumps({**claims, "exp": "@"}).replace('"@"', "1e400").encode()
    ),
    "issued in the future": lambda claims: sign({**claims, "iat": AT + 61}),
    "not yet valid": lambda claims: sign({**claims, "nbf": AT + 61}),
    "another issuer": lambda claims: sign({**claims, "iss": "https://evil.example"}),
    "issuer with a slash more": lambda claims: sign({**claims, "iss": ISSUER + "/"}),
    "issuer in capitals": lambda claims: sign({**claims, "iss": ISSUER.upper()}),
    "issuer is a list": lambda claims: sign_raw(RS256, {**claims, "iss": [ISSUER]}),
    "no issuer": lambda claims: sign({name: value for name, value in claims.items() if name != "iss"}),
    "another audience": lambda claims: sign({**claims, "aud": "someone"}),
    "audience in capitals": lambda claims: sign({**claims, "aud": CLIENT_ID.upper()}),
    "audience is a number": lambda claims: sign({**claims, "aud": 1}),
    "audience with a number": lambda claims: sign({**claims, "aud": [CLIENT_ID, 1]}),
    "audience is an object": lambda claims: sign({**claims, "aud": {CLIENT_ID: 1}}),
    "no audience": lambda claims: sign({name: value for name, value in claims.items() if name != "aud"}),
    "empty audience": lambda claims: sign({**claims, "aud": []}),
    "no subject": lambda claims: sign({name: value for name, value in claims.items() if name != "sub"}),
    "empty subject": lambda claims: sign({**claims, "sub": ""}),
    "subject is a number": lambda claims: sign_raw(RS256, {**claims, "sub": 1}),
    "subject with a line end": lambda claims: sign({**claims, "sub": "alice\n"}),
    "subject of 300 characters": lambda claims: sign({**claims, "sub": "x" * 300}),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_id_token_is_refused(forge: Callable[[dict[str, Any]], Secret]) -> None:
    with pytest.raises(TokenRefused):
        check_id(forge(id_claims()))


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_access_token_is_refused(forge: Callable[[dict[str, Any]], Secret]) -> None:
    with pytest.raises(BadCredentials):
        check_access(forge(access_claims()))


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nonce": None}, id="no nonce"),
        pytest.param({"nonce": ""}, id="empty nonce"),
        pytest.param({"nonce": "another"}, id="another nonce"),
        pytest.param({"nonce": 1}, id="nonce is a number"),
        pytest.param({"iat": None}, id="no time of issue"),
        pytest.param({"aud": [CLIENT_ID, "other"]}, id="several audiences and no azp"),
        pytest.param({"azp": "other"}, id="another azp"),
        pytest.param({"aud": [CLIENT_ID, "other"], "azp": "other"}, id="several audiences and another azp"),
        pytest.param({"azp": [CLIENT_ID]}, id="azp is a list"),
        pytest.param({"at_hash": half_hash("another-token")}, id="at_hash of another token"),
        pytest.param({"at_hash": ""}, id="empty at_hash"),
        pytest.param({"at_hash": 1}, id="at_hash is a number"),
        pytest.param({"at_hash": half_hash(ACCESS_TOKEN, "sha512")}, id="at_hash of another length"),
    ],
)
def test_an_id_token_for_another_purpose_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        check_id(sign(id_claims(**claims)))


def test_an_at_hash_of_null_is_refused() -> None:
    with pytest.raises(TokenRefused):
        check_id(sign({**id_claims(), "at_hash": None}))


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(sign(id_claims()), id="plain"),
        pytest.param(sign(id_claims(), alg="PS256"), id="PS256"),
        pytest.param(sign(id_claims(), EC), id="ES256"),
        pytest.param(sign(id_claims(), OKP), id="Ed25519"),
        pytest.param(sign_raw({"alg": "RS256"}, id_claims()), id="no key id, one key of the type"),
        pytest.param(sign(id_claims(aud=[CLIENT_ID])), id="audience in a list"),
        pytest.param(sign(id_claims(aud=[CLIENT_ID, "other"], azp=CLIENT_ID)), id="several audiences and our azp"),
        pytest.param(sign(id_claims(at_hash=half_hash(ACCESS_TOKEN))), id="at_hash"),
        pytest.param(sign(id_claims(at_hash=half_hash(ACCESS_TOKEN, "sha512")), OKP), id="at_hash of Ed25519"),
        pytest.param(sign(id_claims(exp=AT - 59, iat=AT + 59)), id="clocks a minute apart"),
        pytest.param(sign_raw({**RS256, "x-own": {"a": 1}}, id_claims()), id="unknown header member"),
    ],
)
def test_a_good_id_token_is_accepted(token: Secret) -> None:
    assert check_id(token)["sub"] == "248289761001"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_an_id_token_signed_with_eddsa_by_its_old_name_is_accepted() -> None:
    assert check_id(sign(id_claims(), OKP, alg="EdDSA"))["sub"] == "248289761001"


def test_a_symmetric_algorithm_is_refused_even_if_it_were_pinned() -> None:
    careless = make_provider(id_token_algorithms=("HS256", "none", "RS256"))
    with pytest.raises(TokenRefused):
        verify_id_token(
            sign_with_public_key(id_claims()),
            careless,
            KEYS,
            issuer=ISSUER,
            nonce=Secret(NONCE),
            access_token=Secret(ACCESS_TOKEN),
            now=NOW,
        )


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        pytest.param({"nonce": "x"}, {}, id="an ID token, by its nonce"),
        pytest.param({"at_hash": half_hash(ACCESS_TOKEN)}, {}, id="an ID token, by its at_hash"),
        pytest.param({"typ": "ID"}, {}, id="an ID token, by its claim typ"),
        pytest.param({"typ": "Refresh"}, {}, id="a refresh token"),
        pytest.param({"typ": "Logout"}, {}, id="a logout token, by its claim typ"),
        pytest.param({}, {"typ": "logout+jwt"}, id="a logout token"),
        pytest.param({}, {"typ": "ID"}, id="an ID token, by its header typ"),
        pytest.param({}, {"typ": "dpop+jwt"}, id="a proof"),
        pytest.param({"aud": ["someone", "other"]}, {}, id="for others"),
        pytest.param({"events": {}}, {}, id="a logout token, by its events"),
        pytest.param({"client_id": None, "scope": None, "sid": "s"}, {"typ": "JWT"}, id="an ID token without nonce"),
    ],
)
def test_a_token_for_another_purpose_is_no_access_token(claims: dict[str, Any], header: dict[str, Any]) -> None:
    with pytest.raises(BadCredentials):
        check_access(sign(access_claims(**claims), **header))


@pytest.mark.parametrize("claims", [{"client_id": "notebook"}, {"client_id": None, "azp": "notebook"}])
def test_only_authorized_parties_are_let_in_where_they_are_named(claims: dict[str, Any]) -> None:
    token = sign(access_claims(**claims))
    assert check_access(token, authorized_parties=["notebook"])
    with pytest.raises(BadCredentials):
        check_access(token, authorized_parties=["batch"])


@pytest.mark.parametrize("claims", [{"client_id": None}, {"azp": "batch"}, {"client_id": 1}])
def test_an_access_token_without_one_clear_party_is_refused_where_parties_are_named(claims: dict[str, Any]) -> None:
    with pytest.raises(BadCredentials):
        check_access(sign(access_claims(**claims)), authorized_parties=["notebook", "batch"])


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"typ": "JWT"}, {"typ": None}])
def test_a_good_access_token_is_accepted(header: dict[str, Any]) -> None:
    assert authorized_party(check_access(sign(access_claims(), **header))) == "notebook"


def test_no_more_than_a_minute_of_leeway_is_given() -> None:
    with pytest.raises(BadCredentials):
        check_access(sign(access_claims()), now=NOW + timedelta(seconds=361))


def test_a_refusal_shows_nothing_of_the_token() -> None:
    token = sign(access_claims(sub="alice@secret.example", aud="other"))
    with pytest.raises(BadCredentials) as refused:
        check_access(token)
    shown = f"{refused.value!r} {refused.value.detail} {refused.value.debug} {refused.value.__cause__}"
    assert "alice" not in shown
    assert token.reveal()[:10] not in shown


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,90}\.[A-Za-z0-9_-]{0,90}\.[A-Za-z0-9_-]{0,90}"))
def test_no_text_makes_the_check_fail_in_another_way(text: str) -> None:
    with pytest.raises(TokenRefused):
        check_id(Secret(text))


@pytest.mark.parametrize("member", ["jkt", "x5t#S256"])
def test_an_access_token_bound_to_a_key_is_refused(member: str) -> None:
    with pytest.raises(BadCredentials) as caught:
        check_access(sign(access_claims(cnf={member: "thumbprint"})))
    assert caught.value.debug == "cnf"

"""Hostile metadata and key sets: refused, or without any effect. Nothing is sent to where they point."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from support.hostile import HostileServer, as_json, http, listener, routes
from support.issuing import EC, ISSUER, RSA, make_attempt, make_provider, public_keys
from tokenstore.core.model import Asked, Endpoints, Provider
from tokenstore.core.secret import Secret
from tokenstore.errors import ProviderMisconfigured, ProviderUnavailable
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.discovery import Discovery, ServerMetadata, read_metadata
from tokenstore.providers.jwks import KeySets, read_key_set
from tokenstore.providers.messages import LARGE
from tokenstore.providers.transport import Timeouts, Transport

WELL_KNOWN = "/.well-known/openid-configuration"
POLICY = AddressPolicy()
PROVIDER = make_provider(endpoints=Endpoints(), discovery_url=ISSUER + WELL_KNOWN)


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(POLICY, timeouts=Timeouts(connect=0.5, read=0.5, deadline=1.0))
    yield made
    made.close()


def document(issuer: str = ISSUER, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "revocation_endpoint": f"{issuer}/revoke",
        "end_session_endpoint": f"{issuer}/logout",
        **changes,
    }


GOOD = read_metadata(PROVIDER, document(), POLICY)


def discovered_from(server: HostileServer, transport: Transport) -> tuple[Provider, HttpProviderClient]:
    discovery = Discovery(transport, POLICY)
    client = HttpProviderClient(transport, discovery, KeySets(transport, discovery))
    provider = make_provider(issuer=server.url, endpoints=Endpoints(), discovery_url=server.url + WELL_KNOWN)
    return provider, client


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": ISSUER.upper()},
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"issuer": [ISSUER]},
        {"issuer": {"name": ISSUER}},
        {"token_endpoint": "https://evil.example/token"},
        {"token_endpoint": "https://idp.example.evil.example/token"},
        {"token_endpoint": "https://evil.example/?idp.example"},
        {"token_endpoint": "https://idp.example@evil.example/token"},
        {"token_endpoint": "https://evil.example\\@idp.example/token"},
        {"token_endpoint": "https://user:word@idp.example/token"},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"token_endpoint": "https://127.0.0.1/token"},
        {"token_endpoint": "https://localhost/token"},
        {"token_endpoint": "https://[::1]/token"},
        {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
        {"token_endpoint": "https://10.0.0.1/token"},
        {"token_endpoint": "ftp://idp.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "//idp.example/token"},
        {"token_endpoint": "/token"},
        {"token_endpoint": "https:///token"},
        {"token_endpoint": "https://idp.example:0/token"},
        {"token_endpoint": "https://idp.example:port/token"},
        {"token_endpoint": "https://idp.example/token#fragment"},
        {"token_endpoint": "https://idp.example/to ken"},
        {"token_endpoint": "https://idp.example/\r\nX: y"},
        {"token_endpoint": "https://idp.example/\u202etoken"},
        {"token_endpoint": "https://idp.ex\u0430mple/token"},
        {"token_endpoint": "https://idp.example./token"},
        {"token_endpoint": "https://idp.example/" + "x" * 3000},
        {"token_endpoint": ""},
        {"token_endpoint": ["https://idp.example/token"]},
        {"token_endpoint": 7},
        {"authorization_endpoint": "javascript:alert(1)//idp.example"},
        {"authorization_endpoint": "data:text/html,hello"},
        {"authorization_endpoint": "https://evil.example/auth"},
        {"jwks_uri": "https://evil.example/jwks"},
        {"userinfo_endpoint": "https://evil.example/userinfo"},
        {"revocation_endpoint": "https://evil.example/revoke"},
        {"end_session_endpoint": "javascript:alert(1)"},
        {"authorization_response_iss_parameter_supported": "false"},
        {"authorization_response_iss_parameter_supported": 0},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)
def test_hostile_metadata_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"issuer|endpoint|jwks_uri|authorization_response"):
        read_metadata(PROVIDER, {**document(), **changes}, POLICY)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": []},
        {"scope": "admin", "scopes_supported": ["admin"]},
        {"client_id": "another", "client_secret": "another"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
        {"token_endpoint_auth_methods_supported": ["none"]},
        {"grant_types_supported": ["password"]},
        {"redirect_uri": "https://evil.example"},
        {"metadata": {"url": "javascript:alert(1)"}, "name": "<script>"},
        {"server_metadata": {}, "__class__": "x", "id": "oidc", "refresh": "https://evil.example"},
        {"mtls_endpoint_aliases": {"token_endpoint": "https://evil.example/token"}},
        {"signed_metadata": "eyJhbGciOiJub25lIn0.e30."},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)
def test_members_that_nobody_asked_for_have_no_effect(changes: dict[str, Any]) -> None:
    assert read_metadata(PROVIDER, {**document(), **changes}, POLICY) == GOOD


def test_good_metadata_is_read() -> None:
    assert (
        ServerMetadata(
            issuer=ISSUER,
            endpoints=Endpoints(
                authorize=f"{ISSUER}/auth",
                token=f"{ISSUER}/token",
                jwks=f"{ISSUER}/jwks",
                userinfo=f"{ISSUER}/userinfo",
                revoke=f"{ISSUER}/revoke",
                end_session=f"{ISSUER}/logout",
            ),
        )
        == GOOD
    )


def test_an_endpoint_on_an_allowed_host_is_taken() -> None:
    provider = make_provider(allowed_hosts=frozenset({"tokens.example"}))
    found = read_metadata(provider, document(token_endpoint="https://tokens.example/token"), POLICY)
    assert found.endpoints.token == "https://tokens.example/token"


def test_that_the_provider_sends_its_issuer_is_read() -> None:
    assert read_metadata(PROVIDER, document(authorization_response_iss_parameter_supported=True), POLICY).sends_issuer


def test_metadata_with_another_issuer_stop_everything_before_a_secret_is_sent(transport: Transport) -> None:
    with listener() as evil, HostileServer(routes({WELL_KNOWN: http(as_json(document(evil.url)))})) as server:
        provider, client = discovered_from(server, transport)
        for call in (
            lambda: client.authorization_url(provider, make_attempt(provider)),
            lambda: client.exchange(provider, make_attempt(provider), Secret("code")),
            lambda: client.refresh(provider, Secret("token"), Asked(), frozenset()),
        ):
            with pytest.raises(ProviderMisconfigured) as refused:
                call()
            assert evil.url not in refused.value.detail + refused.value.debug
        assert evil.connections == 0
        assert {received.path for received in server.requests} == {WELL_KNOWN}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"[]"), id="list"),
        pytest.param(http(b"null"), id="null"),
        pytest.param(http(b""), id="empty"),
        pytest.param(http(b"<html>", content_type="text/html"), id="HTML"),
        pytest.param(http(b'{"issuer": "a", "issuer": "b"}'), id="a member twice"),
        pytest.param(http(b'{"a": NaN}'), id="NaN"),
        pytest.param(http(b'{"a":' * 5000 + b"1" + b"}" * 5000), id="deep"),
        pytest.param(http(b'{"a":' * 40 + b"1" + b"}" * 40), id="40 levels"),
        pytest.param(http(b'"' + b"\xff" * 10 + b'"'), id="not UTF-8"),
        pytest.param(http(b'{"a": "\\ud800"}'), id="lone surrogate"),
        pytest.param(http(b'{"a": 1' + b"0" * 5000 + b"}"), id="number of 5,000 digits"),
        pytest.param(http(b'{"a": "' + b"x" * LARGE + b'"}'), id="too large"),
        pytest.param(http(b"{}", status=500), id="500"),
        pytest.param(http(b"{}", status=404), id="404"),
        pytest.param(http(b"{}", status=302, location="/"), id="redirect"),
    ],
)
def test_a_document_that_is_none_makes_the_provider_unavailable(transport: Transport, answer: bytes) -> None:
    with HostileServer(routes({WELL_KNOWN: answer})) as server:
        provider, client = discovered_from(server, transport)
        with pytest.raises(ProviderUnavailable):
            client.authorization_url(provider, make_attempt(provider))


def test_a_discovery_address_inside_the_network_is_not_called(transport: Transport) -> None:
    provider = make_provider(endpoints=Endpoints(), discovery_url="http://169.254.169.254" + WELL_KNOWN)
    discovery = Discovery(transport, POLICY)
    with pytest.raises(ProviderMisconfigured, match="ALLOW_PRIVATE_HOSTS"):
        discovery.metadata(provider)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(OctKey.generate_key(256).as_dict(), id="symmetric"),
        pytest.param({**RSA.as_dict(private=False), "use": "enc"}, id="for encryption"),
        pytest.param({**RSA.as_dict(private=False), "use": ["sig"]}, id="use is a list"),
        pytest.param({**RSA.as_dict(private=False), "key_ops": ["sign"]}, id="not to verify with"),
        pytest.param({**RSA.as_dict(private=False), "kty": "EC"}, id="another type than it says"),
        pytest.param({**RSA.as_dict(private=False), "n": "AQAB"}, id="tiny modulus"),
        pytest.param({**RSA.as_dict(private=False), "n": 7}, id="modulus is a number"),
        pytest.param({**RSA.as_dict(private=False), "e": "A" * 400}, id="odd exponent"),
        pytest.param({**EC.as_dict(private=False), "y": EC.as_dict(private=False)["x"]}, id="point off the curve"),
        pytest.param({**EC.as_dict(private=False), "crv": "P-9"}, id="unknown curve"),
        pytest.param({**EC.as_dict(private=False), "crv": ["P-256"]}, id="curve is a list"),
        pytest.param({"kty": "RSA"}, id="empty"),
        pytest.param({"kty": ["RSA"]}, id="type is a list"),
        pytest.param("RSA", id="text"),
        pytest.param(None, id="null"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_left_out_and_the_others_stay(entry: object) -> None:
    keys = read_key_set({"keys": [entry, *public_keys(EC)["keys"]]})
    assert [key.kid for key in keys.keys] == ["ec"]


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_an_rsa_key_of_1024_bits_is_left_out() -> None:
    small = RSAKey.generate_key(1024, {"kid": "small"}).as_dict(private=False)
    assert read_key_set({"keys": [small]}).keys == ()


def test_private_members_of_a_published_key_are_not_taken() -> None:
    (key,) = read_key_set({"keys": [RSA.as_dict(private=True)]}).keys
    assert not key.is_private


@pytest.mark.parametrize("value", [None, {}, "keys", 7])
def test_a_key_set_without_a_list_holds_no_keys(value: object) -> None:
    assert read_key_set({"keys": value}).keys == ()


def test_a_key_made_for_another_algorithm_is_not_used() -> None:
    keys = read_key_set({"keys": [{**RSA.as_dict(private=False), "alg": "RS512"}]})
    assert not keys.find("RS256", "rsa")


def test_the_keys_of_a_token_with_a_made_up_id_are_asked_for_once_more_at_most(transport: Transport) -> None:
    with HostileServer(routes({"/jwks": http(as_json(public_keys(RSA)))})) as server:
        provider = make_provider(endpoints=Endpoints(jwks=f"{server.url}/jwks"))
        keys = KeySets(transport, Discovery(transport, POLICY)).of(provider)
        for number in range(20):
            assert not keys.find("RS256", f"made-up-{number}")
        assert len(server.requests) == 1

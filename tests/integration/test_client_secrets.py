"""A client secret that is changed at the provider breaks nothing while the store knows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from demo.config import Account, Client, ProviderConfig
from demo.grants import Code
from demo.server import RunningProvider
from support.hostile import Conversation, HostileServer, as_json, http
from support.issuing import make_provider
from tokenstore.core.model import Asked, Endpoints, Granted, Misconfigured, Provider, Refused, RevocationResult
from tokenstore.core.secret import Secret
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import REVOCATION_SECONDS, HttpProviderClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport

ADA = Account.named("ada")


@contextmanager
def made(revocation_seconds: float = REVOCATION_SECONDS) -> Iterator[HttpProviderClient]:
    policy = AddressPolicy()
    transport = Transport(policy)
    discovery = Discovery(transport, policy)
    keys = KeySets(transport, discovery)
    client = HttpProviderClient(
        transport, discovery, keys, lambda: datetime.now(UTC), revocation_seconds=revocation_seconds
    )
    yield client
    client.close()


@pytest.fixture
def client() -> Iterator[HttpProviderClient]:
    with made() as client:
        yield client


@pytest.fixture
def server() -> Iterator[RunningProvider]:
    with RunningProvider(ProviderConfig("P", clients=(Client("store", ()),), accounts=(ADA,))) as running:
        yield running


@pytest.fixture
def provider(server: RunningProvider) -> Provider:
    """As settings with the old secret and the new one make it."""
    return make_provider(
        client_id="store",
        client_secret=Secret("old-secret"),
        further_secrets=(Secret("new-secret"),),
        issuer=server.issuer,
        discovery_url=server.discovery_url,
        endpoints=Endpoints(),
    )


def change(server: RunningProvider, secret: str) -> None:
    server.state.register(replace(server.config.clients[0], client_secret=secret))


def refresh_token(server: RunningProvider) -> Secret:
    code = Code("c", "store", "", "openid offline_access", ADA.subject, 0, server.state.clock.now() + 60, None, "", "")
    return Secret(server.state.new_refresh_token(server.state.open_grant(code)))


def outcomes(server: RunningProvider) -> list[str]:
    return [call.outcome for call in server.calls.all() if call.endpoint in ("token", "revoke")]


def refresh(client: HttpProviderClient, provider: Provider, token: Secret) -> object:
    return client.refresh(provider, token, Asked(), frozenset())


def test_after_invalid_client_the_next_secret_is_tried_once(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "new-secret")
    assert isinstance(refresh(client, provider, refresh_token(server)), Granted)
    assert outcomes(server) == ["invalid_client", "200"]


def test_the_secret_that_was_taken_is_remembered(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "new-secret")
    refresh(client, provider, refresh_token(server))
    refresh(client, provider, refresh_token(server))
    assert outcomes(server) == ["invalid_client", "200", "200"]


def test_a_secret_changed_back_is_found_again(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "new-secret")
    refresh(client, provider, refresh_token(server))
    change(server, "old-secret")
    assert isinstance(refresh(client, provider, refresh_token(server)), Granted)


def test_when_no_secret_is_taken_each_was_tried_once(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "a-third-secret")
    assert refresh(client, provider, refresh_token(server)) == Misconfigured("invalid_client")
    assert outcomes(server) == ["invalid_client", "invalid_client"]


def test_a_refused_grant_is_not_sent_again_with_another_secret(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "old-secret")
    assert refresh(client, provider, Secret("unknown")) == Refused("invalid_grant")
    assert outcomes(server) == ["invalid_grant"]


def test_a_revocation_finds_the_secret_too(
    client: HttpProviderClient, server: RunningProvider, provider: Provider
) -> None:
    change(server, "new-secret")
    token = refresh_token(server)
    assert client.revoke(provider, token) is RevocationResult.CONFIRMED
    assert server.state.is_family_revoked(token.reveal())


@pytest.mark.parametrize(("pause", "asked"), [(0.0, 2), (0.7, 1)], ids=["at once", "late"])
def test_the_secrets_of_a_revocation_share_one_deadline(pause: float, asked: int) -> None:
    refusal = http(as_json({"error": "invalid_client"}), status=401)

    def refuse(conversation: Conversation) -> None:
        if conversation.receive():
            hostile.stopping.wait(pause)
            conversation.send(refusal)

    with HostileServer(refuse) as hostile, made(revocation_seconds=1) as client:
        provider = make_provider(
            client_secret=Secret("old-secret"),
            further_secrets=(Secret("new-secret"),),
            endpoints=Endpoints(revoke=hostile.url + "/revoke"),
        )
        assert client.revoke(provider, Secret("t")) is RevocationResult.FAILED
        assert len(hostile.requests) == asked

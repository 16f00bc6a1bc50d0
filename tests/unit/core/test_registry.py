"""Providers are found by their exact id and by nothing else."""

from __future__ import annotations

import pytest

from tokenstore.core.model import Provider, ProviderId, ProviderKind
from tokenstore.core.registry import Registry
from tokenstore.errors import UnknownProvider


def provider(text: str) -> Provider:
    return Provider(
        id=ProviderId(text),
        kind=ProviderKind.OAUTH2,
        client_id="store",
        redirect_uri=f"https://store.example.org/{text}",
    )


REGISTRY = Registry([provider("idp2"), provider("idp1")])


def test_provider_is_found_by_its_id() -> None:
    assert REGISTRY.get("idp1").id == "idp1"


def test_providers_come_in_the_configured_order() -> None:
    assert [one.id for one in REGISTRY] == ["idp2", "idp1"]


@pytest.mark.parametrize("text", ["idp3", "IDP1", "oidc", "register", "_clients", "../x", "get", "__class__", ""])
def test_anything_else_is_unknown(text: str) -> None:
    with pytest.raises(UnknownProvider):
        REGISTRY.get(text)

"""`GET /authorizations`: every provider with the caller's links, in the reference's shape and more."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, TypedDict
from urllib.parse import quote

from flask import Blueprint, Response

from tokenstore.core.model import Provider
from tokenstore.core.overview import LinkOverview, ProviderOverview, ScopeStatus, Status
from tokenstore.identity.guards import Guards
from tokenstore.web.jsontext import json_text
from tokenstore.web.openapi import meaning
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl


class AccountJson(TypedDict):
    """An account at a provider."""

    issuer: Annotated[str, meaning("The provider's name for itself")]
    subject: Annotated[str, meaning("The account's id there, which does not change")]
    name: str | None
    email: str | None


class LinkJson(TypedDict):
    """A link; instants are epoch seconds, null = unknown or never."""

    id: str
    label: str | None
    default: Annotated[bool, meaning("Whether it is used where no link is named")]
    status: Annotated[str, meaning("What asking for its token would meet", enum=list(Status))]
    account: AccountJson
    scopes: list[str]
    scope_status: Annotated[str, meaning("Granted scopes against those asked for", enum=list(ScopeStatus))]
    linked_at: int
    last_refresh_at: int | None
    last_used_at: int | None
    refresh_expires_at: Annotated[int | None, meaning("When the person has to link again")]
    last_error: Annotated[str | None, meaning("A code of the store's, never a provider's text")]


class ActionsJson(TypedDict):
    """Addresses of what can be done with a provider."""

    authorize: str
    token: str
    revoke: str


class MetadataJson(TypedDict):
    """What user interfaces show of a provider."""

    name: str | None
    description: str | None
    url: str | None
    icon: str | None
    logo: str | None


class AuthorizationJson(TypedDict):
    """A provider; the first four members are the reference's."""

    provider: str
    active: Annotated[bool, meaning("Whether the default link can be used")]
    actions: ActionsJson
    metadata: MetadataJson
    status: Annotated[str, meaning("Of the default link", enum=list(Status))]
    scope_status: Annotated[str, meaning("Of the default link", enum=list(ScopeStatus))]
    links: list[LinkJson]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the listing to the API."""

    @blueprint.get("/authorizations")
    def authorizations() -> Response:
        """All providers in the order of TOKEN_PROVIDERS."""
        caller = guards.require_user().caller
        found = services.overview.authorizations(caller)
        items = [authorization(one, services.public_url) for one in found]
        return Response(json_text(items), content_type="application/json")


def authorization(overview: ProviderOverview, public_url: PublicUrl) -> AuthorizationJson:
    """One item of the list."""
    provider = overview.provider
    return {
        "provider": provider.id,
        "active": overview.active,
        "actions": actions(provider, public_url),
        "metadata": metadata(provider),
        "status": overview.status.value,
        "scope_status": overview.scope_status.value,
        "links": [link(one) for one in overview.links],
    }


def actions(provider: Provider, public_url: PublicUrl) -> ActionsJson:
    """Absolute addresses of what can be done with a provider."""
    base = public_url.absolute(f"/api/v1.0/{quote(provider.id, safe='')}")
    return {"authorize": f"{base}/authorize", "token": f"{base}/token", "revoke": f"{base}/revoke"}


def metadata(provider: Provider) -> MetadataJson:
    """What user interfaces show of a provider; the settings let only http(s) URLs through."""
    shown = provider.metadata
    return {
        "name": shown.name,
        "description": shown.description,
        "url": shown.url,
        "icon": shown.icon,
        "logo": shown.logo,
    }


def link(overview: LinkOverview) -> LinkJson:
    """One link of a provider."""
    one = overview.standing.link
    return {
        "id": str(one.id),
        "label": one.label,
        "default": one.is_default,
        "status": overview.status.value,
        "account": {
            "issuer": one.account.issuer,
            "subject": one.account.subject,
            "name": one.account.name,
            "email": one.account.email,
        },
        "scopes": sorted(one.scopes_granted),
        "scope_status": overview.scope_status.value,
        "linked_at": math.floor(one.linked_at.timestamp()),
        "last_refresh_at": seconds(one.last_refresh_at),
        "last_used_at": seconds(one.last_used_at),
        "refresh_expires_at": seconds(one.refresh_expires_at),
        "last_error": one.last_error,
    }


def seconds(instant: datetime | None) -> int | None:
    """An instant as epoch seconds, rounded down."""
    return None if instant is None else math.floor(instant.timestamp())

"""`GET /authorizations`: every provider with the caller's links, in the reference's shape and more."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypedDict
from urllib.parse import quote

from flask import Blueprint, Response, jsonify

from tokenstore.core.model import Provider
from tokenstore.core.overview import LinkOverview, ProviderOverview
from tokenstore.identity.guards import Guards
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl


class AccountJson(TypedDict):
    """An account at a provider."""

    issuer: str
    subject: str
    name: str | None
    email: str | None


class LinkJson(TypedDict):
    """A link; instants are epoch seconds, null = unknown or never."""

    id: str
    label: str | None
    default: bool
    status: str
    account: AccountJson
    scopes: list[str]
    linked_at: int
    last_refresh_at: int | None
    last_used_at: int | None
    refresh_expires_at: int | None
    last_error: str | None


class AuthorizationJson(TypedDict):
    """A provider; the first four members are the reference's."""

    provider: str
    active: bool
    actions: dict[str, str]
    metadata: dict[str, str | None]
    status: str
    scope_status: str
    links: list[LinkJson]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the listing to the API."""

    @blueprint.get("/authorizations")
    def authorizations() -> Response:
        """All providers in the order of TOKEN_PROVIDERS."""
        caller = guards.require_user().caller
        return jsonify([authorization(one, services.public_url) for one in services.overview.authorizations(caller)])


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


def actions(provider: Provider, public_url: PublicUrl) -> dict[str, str]:
    """Absolute addresses of what can be done with a provider."""
    base = public_url.absolute(f"/api/v1.0/{quote(provider.id, safe='')}")
    return {action: f"{base}/{action}" for action in ("authorize", "token", "revoke")}


def metadata(provider: Provider) -> dict[str, str | None]:
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
        "linked_at": math.floor(one.linked_at.timestamp()),
        "last_refresh_at": seconds(one.last_refresh_at),
        "last_used_at": seconds(one.last_used_at),
        "refresh_expires_at": seconds(one.refresh_expires_at),
        "last_error": one.last_error,
    }


def seconds(instant: datetime | None) -> int | None:
    """An instant as epoch seconds, rounded down."""
    return None if instant is None else math.floor(instant.timestamp())

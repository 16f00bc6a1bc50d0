"""`GET /providers`: what can be linked here, without anything about the caller's links."""

from __future__ import annotations

from typing import Annotated, TypedDict
from urllib.parse import quote

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from tokenstore.api.authorizations import ActionsJson, MetadataJson, actions, metadata
from tokenstore.core.model import Provider
from tokenstore.identity.guards import Guards
from tokenstore.web.openapi import meaning
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl


class ProviderJson(TypedDict):
    """A provider."""

    provider: Annotated[str, meaning("The id")]
    issuer: Annotated[str | None, meaning("Its name for itself, where it has one")]
    scopes: Annotated[list[str], meaning("Asked for at linking")]
    actions: ActionsJson
    link_url: Annotated[str, meaning("Where a person links an account", format="uri")]
    metadata: MetadataJson


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the list of providers to the API."""

    @blueprint.get("/providers")
    def providers() -> Response:
        """All providers in the order of TOKEN_PROVIDERS; with `If-None-Match` 304 where they are the same."""
        caller = guards.require_user().caller
        response = jsonify([described(one, services.public_url) for one in services.overview.providers(caller)])
        response.headers["Cache-Control"] = "private, no-cache"
        response.add_etag()
        return response.make_conditional(request)


def described(provider: Provider, public_url: PublicUrl) -> ProviderJson:
    """One item of the list."""
    return {
        "provider": provider.id,
        "issuer": provider.issuer,
        "scopes": sorted(provider.scopes),
        "actions": actions(provider, public_url),
        "link_url": public_url.absolute(f"/link/{quote(provider.id, safe='')}"),
        "metadata": metadata(provider),
    }

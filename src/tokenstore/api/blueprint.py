"""The API's blueprint: all resources under `/api/v1.0`."""

from __future__ import annotations

from flask import Blueprint

from tokenstore.api import authorizations, linking, links, providers, sessions, tokens, unlinking
from tokenstore.identity.guards import Guards
from tokenstore.web.services import Services


def create_blueprint(services: Services, guards: Guards) -> Blueprint:
    """The versioned API."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/v1.0")
    for resource in (authorizations, linking, links, providers, sessions, tokens, unlinking):
        resource.add_routes(blueprint, services, guards)
    return blueprint

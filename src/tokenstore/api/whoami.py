"""`GET /api/whoami`: who the caller is, in exactly seven fields."""

from __future__ import annotations

from typing import Any, TypedDict

from flask import Blueprint, Response, jsonify

from tokenstore.identity.guards import Guards


class WhoamiJson(TypedDict):
    """The caller's user."""

    claims: dict[str, Any]
    email: str | None
    email_verified: bool
    id: str
    name: str | None
    roles: list[str]
    scopes: list[str]


def create_blueprint(guards: Guards) -> Blueprint:
    """The route, outside the versioned API as it always was."""
    blueprint = Blueprint("whoami", __name__, url_prefix="/api")

    @blueprint.get("/whoami")
    def whoami() -> Response:
        """The caller's user."""
        user = guards.require_user().user
        answer: WhoamiJson = {
            "claims": dict(user.claims),
            "email": user.email,
            "email_verified": user.email_verified,
            "id": user.id,
            "name": user.name,
            "roles": list(user.roles),
            "scopes": list(user.scopes),
        }
        return jsonify(answer)

    return blueprint

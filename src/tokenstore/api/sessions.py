"""`/sessions`: where the caller's user is logged in, and signing out there."""

from __future__ import annotations

import math
from typing import TypedDict
from uuid import UUID

from flask import Blueprint, Response, jsonify

from tokenstore.core.model import Login
from tokenstore.identity.browser import known_login
from tokenstore.identity.guards import Guards
from tokenstore.web.services import Services


class EndedJson(TypedDict):
    """How many logins were ended."""

    ended: int


class SessionJson(TypedDict):
    """A login; instants are epoch seconds."""

    id: str
    current: bool
    agent: str | None
    created_at: int
    seen_at: int
    ends_at: int


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the routes of sessions to the API."""

    @blueprint.get("/sessions")
    def sessions() -> Response:
        """All logins of the caller's user, the one seen last first."""
        caller = guards.require_user().caller
        current = known_login()
        present = current[1] if current else None
        return jsonify([session(login, login.id == present) for login in services.sessions.logins(caller)])

    @blueprint.delete("/sessions")
    def end_sessions() -> Response:
        """Sign out everywhere, here too."""
        caller = guards.require_user().caller
        return jsonify(EndedJson(ended=services.sessions.end_all(caller)))

    @blueprint.delete("/sessions/<uuid:session_id>")
    def end_session(session_id: UUID) -> Response:
        """Sign out in one browser."""
        caller = guards.require_user().caller
        services.sessions.end(caller, session_id)
        return jsonify(EndedJson(ended=1))


def session(login: Login, current: bool) -> SessionJson:
    """One login as JSON. `current`: the request came with it."""
    return {
        "id": str(login.id),
        "current": current,
        "agent": login.agent,
        "created_at": math.floor(login.created_at.timestamp()),
        "seen_at": math.floor(login.seen_at.timestamp()),
        "ends_at": math.floor(login.ends_at.timestamp()),
    }

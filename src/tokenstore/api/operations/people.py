"""Who the caller is, and where the caller's user is logged in."""

from __future__ import annotations

from tokenstore.api.operations.examples import SESSION_ID, UUID
from tokenstore.api.sessions import EndedJson, SessionJson
from tokenstore.api.whoami import WhoamiJson
from tokenstore.errors import NotFound
from tokenstore.web.openapi import Answer, Operation, Parameter

_USER = {
    "claims": {"iss": "https://login.example.org", "sub": "87654321", "email": "alice@example.org"},
    "email": "alice@example.org",
    "email_verified": True,
    "id": "87654321",
    "name": "Alice",
    "roles": [],
    "scopes": ["email", "openid"],
}
_SESSION = {
    "id": SESSION_ID,
    "current": True,
    "agent": "Firefox on Linux",
    "created_at": 1795300000,
    "seen_at": 1795300600,
    "ends_at": 1795328800,
}

OPERATIONS = (
    Operation(
        "whoami",
        "get",
        "/api/whoami",
        "The caller's user, in exactly these members",
        "Who",
        (Answer("The user", WhoamiJson, _USER),),
    ),
    Operation(
        "list_sessions",
        "get",
        "/api/v1.0/sessions",
        "Where the caller's user is logged in, the one seen last first",
        "Who",
        (Answer("The logins", list[SessionJson], [_SESSION]),),
    ),
    Operation(
        "end_sessions",
        "delete",
        "/api/v1.0/sessions",
        "Sign out everywhere, here too",
        "Who",
        (Answer("How many logins there were", EndedJson, {"ended": 2}),),
    ),
    Operation(
        "end_session",
        "delete",
        "/api/v1.0/sessions/{session_id}",
        "Sign out in one browser",
        "Who",
        (Answer("It is ended", EndedJson, {"ended": 1}),),
        (Parameter("session_id", "path", "Id of a login", UUID, SESSION_ID),),
        problems=(NotFound,),
    ),
)

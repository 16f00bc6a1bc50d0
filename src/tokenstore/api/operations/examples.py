"""Values that several examples of the document share, and the parameters of paths."""

from __future__ import annotations

from tokenstore.api.parameters import TEXT_MOST
from tokenstore.web.openapi import BASE, Parameter

LINK_ID = "6b0e8f0e-3f0c-4f3b-9a55-1f0a8c1d2e3f"
SESSION_ID = "9c4d2b1a-5e6f-4a7b-8c9d-0e1f2a3b4c5d"

ACTIONS = {action: f"{BASE}/api/v1.0/idp1/{action}" for action in ("authorize", "token", "revoke")}
METADATA = {"name": "Demo provider 1", "description": None, "url": None, "icon": None, "logo": None}

LINK = {
    "id": LINK_ID,
    "label": None,
    "default": True,
    "status": "ok",
    "account": {
        "issuer": "https://idp1.example.org",
        "subject": "12345678",
        "name": "Alice",
        "email": "alice@example.org",
    },
    "scopes": ["email", "offline_access", "openid"],
    "scope_status": "ok",
    "linked_at": 1795300000,
    "last_refresh_at": None,
    "last_used_at": None,
    "refresh_expires_at": None,
    "last_error": None,
}

TOKEN = {
    "access_token": "bWlkbmlnaHQtb2lsLWJ1cm5z",
    "token_type": "Bearer",
    "expires_in": 3540,
    "expires_at": 1795303540,
    "scope": "email offline_access openid",
    "link": LINK_ID,
    "cached": True,
    "extra": {},
}

TEXT = {"type": "string", "maxLength": TEXT_MOST}
UUID = {"type": "string", "format": "uuid"}

PROVIDER = Parameter("provider", "path", "Id of a provider", {"type": "string"}, "idp1")
LINK_PLACE = Parameter("link", "path", "Id of a link", UUID, LINK_ID)
RETURN_URL = Parameter(
    "return_url",
    "query",
    "Where the browser ends up: a page of the store or of an origin in RETURN_URL_ORIGINS",
    {"type": "string"},
    "/",
    may_be_empty=True,
)

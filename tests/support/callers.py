"""Functions as an operator's USERINFO_MAP names them: keys and passwords that tests hand out, by user."""

from __future__ import annotations

from typing import Any

PREFIX = "key-of-"
SCOPELESS = "scopeless-key-of-"
"""Before the subject, the key of somebody who may use the store, and the same without a scope."""


def by_key(credentials: dict[str, str]) -> dict[str, Any] | None:
    """`key-of-<subject>` is a key of that subject, `scopeless-key-of-<subject>` another."""
    token = credentials["token"]
    if token.startswith(PREFIX):
        return _user(token.removeprefix(PREFIX), ["tokens"])
    return _user(token.removeprefix(SCOPELESS), []) if token.startswith(SCOPELESS) else None


def by_password(credentials: dict[str, str]) -> dict[str, Any] | None:
    """The passwords of a subject are its keys."""
    found = by_key({"token": credentials["password"]})
    return found if found is not None and found["id"] == credentials["username"] else None


def _user(subject: str, scopes: list[str]) -> dict[str, Any]:
    return {"id": subject, "name": "Somebody", "scopes": scopes, "roles": ["user"]}

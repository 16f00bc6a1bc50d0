"""Functions as an operator's USERINFO_MAP names them: keys and passwords that tests hand out, by user."""

from __future__ import annotations

from typing import Any

PREFIX = "key-of-"


def by_key(credentials: dict[str, str]) -> dict[str, Any] | None:
    """`key-of-<subject>` is the key of that subject."""
    token = credentials["token"]
    return _user(token.removeprefix(PREFIX)) if token.startswith(PREFIX) else None


def by_password(credentials: dict[str, str]) -> dict[str, Any] | None:
    """The password of a subject is its key."""
    name = credentials["username"]
    return _user(name) if credentials["password"] == PREFIX + name else None


def _user(subject: str) -> dict[str, Any]:
    return {"id": subject, "name": "Somebody", "scopes": ["tokens"], "roles": ["user"]}

"""Who a caller is, in the fields that `/api/whoami` has always shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenstore.core.model import Caller
from tokenstore.providers.fields import lookup


@dataclass(frozen=True, slots=True)
class User:
    """A person as the login provider's claims describe them; `id` is the subject."""

    id: str
    name: str | None
    email: str | None
    email_verified: bool
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A caller and the user behind it."""

    caller: Caller
    user: User


def user_from_claims(claims: Mapping[str, Any], role_claims: Iterable[str]) -> User:
    """The user that verified claims describe. role_claims: dotted paths, the first that holds a list wins."""
    return User(
        id=str(claims["sub"]),
        name=text(claims.get("name")) or text(claims.get("preferred_username")),
        email=text(claims.get("email")),
        email_verified=claims.get("email_verified") is True,
        roles=next((roles for path in role_claims if (roles := strings(lookup(claims, path)))), ()),
        scopes=tuple(scopes_of(claims)),
        claims=claims,
    )


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token: `scope` as a space-separated string (RFC 9068 section 2.2.3) or a list."""
    scope = claims.get("scope")
    return scope.split() if isinstance(scope, str) else list(strings(scope))


def strings(value: object) -> tuple[str, ...]:
    """The strings of a list; nothing for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def text(value: object) -> str | None:
    """A non-empty string, else None."""
    return value if isinstance(value, str) and value else None

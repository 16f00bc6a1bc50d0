"""Token sets as JSON, for what is sealed until they have their place in the tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tokenstore.core.model import TokenSet
from tokenstore.core.secret import Secret


def tokens_to_json(tokens: TokenSet) -> dict[str, Any]:
    """All of a token set but its ID token, which nobody needs after the answer that it came with."""
    return {
        "access_token": tokens.access_token.reveal(),
        "expires_in": _seconds(tokens.expires_in),
        "refresh_token": None if tokens.refresh_token is None else tokens.refresh_token.reveal(),
        "refresh_expires_in": _seconds(tokens.refresh_expires_in),
        "refresh_never_expires": tokens.refresh_never_expires,
        "scopes": None if tokens.scopes is None else sorted(tokens.scopes),
        "extra": tokens.extra,
        "others": {server: tokens_to_json(other) for server, other in tokens.others.items()},
    }


def tokens_from_json(found: dict[str, Any]) -> TokenSet:
    """The token set that was made into this; what another version of the store did not write is as not said."""
    return TokenSet(
        access_token=Secret(found["access_token"]),
        expires_in=_duration(found.get("expires_in")),
        refresh_token=None if found.get("refresh_token") is None else Secret(found["refresh_token"]),
        refresh_expires_in=_duration(found.get("refresh_expires_in")),
        refresh_never_expires=found.get("refresh_never_expires", False),
        scopes=None if found.get("scopes") is None else frozenset(found["scopes"]),
        extra=found.get("extra", {}),
        others={server: tokens_from_json(other) for server, other in found.get("others", {}).items()},
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)

"""Callers by API key for tests with many users: the key is the user's subject, so that nobody has to log in."""

from __future__ import annotations

from collections.abc import Mapping

ISSUER = "https://people.example"
FUNCTION = f"{__name__}:of_key"
"""For `USERINFO_MAP`."""


def of_key(credentials: Mapping[str, str]) -> Mapping[str, object]:
    """The user whose subject is the key."""
    return {"id": credentials["token"], "claims": {"iss": ISSUER}}

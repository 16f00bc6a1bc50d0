"""A login or a linking under way, and what comes back from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tokenstore.core.model.links import LinkId
from tokenstore.core.model.people import Identity
from tokenstore.core.model.providers import ProviderId
from tokenstore.core.secret import Secret


class Purpose(StrEnum):
    """What an attempt is for."""

    LOGIN = "login"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login or a linking under way; taken once (RFC 9700 section 4.7).

    `state`, `nonce` and `code_verifier` hold ≥ 128 random bits each. `user` None: a login. `session_key` None: begun
    by a program with a bearer token. `link_id`: the link that is to be renewed. `reports`: the return address is told
    the result in its query.
    """

    state: Secret
    nonce: Secret
    code_verifier: Secret
    purpose: Purpose
    provider_id: ProviderId
    user: Identity | None
    session_key: str | None
    return_url: str
    scopes: tuple[str, ...]
    redirect_uri: str
    expires_at: datetime
    link_id: LinkId | None = None
    reports: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """The query of a redirect URI, parsed: parameter → values in order (repetition is an attack)."""

    parameters: dict[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        """The value of a parameter that occurs once, else None."""
        values = self.parameters.get(name, ())
        return values[0] if len(values) == 1 else None

    @property
    def repeated(self) -> bool:
        """Whether any parameter came twice (RFC 6749 section 3.1 forbids it)."""
        return any(len(values) > 1 for values in self.parameters.values())

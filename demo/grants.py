"""The records a provider keeps of what it gave out, in the shape Authlib's grants ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CODE_LIFETIME = 60


@dataclass(slots=True)
class Grant:
    """What a person allowed a client once: the family of all tokens that came of it.

    `reuses`: how often a used refresh token of it was presented against the policy.
    """

    id: str
    client_id: str
    subject: str
    scope: str
    auth_time: int
    revoked: bool = False
    newest: str | None = field(default=None, repr=False)
    reuses: int = 0


@dataclass(slots=True)
class RefreshToken:
    """One member of a family; `used_at` is the moment in which a successor took its place.

    `revoked`: it alone; see also its grant.
    """

    value: str = field(repr=False)
    grant: Grant
    used_at: float | None = None
    revoked: bool = False

    def check_client(self, client: Any) -> bool:
        return bool(self.grant.client_id == client.get_client_id())

    def get_scope(self) -> str:
        return self.grant.scope


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token; `grant` is None for one that was minted without asking anybody."""

    value: str = field(repr=False)
    subject: str
    client_id: str
    scope: str
    expires_at: float | None
    grant: Grant | None
    audience: tuple[str, ...] = ()

    def check_client(self, client: Any) -> bool:
        return bool(self.client_id == client.get_client_id())


@dataclass(slots=True)
class Code:
    """An authorization code and what it was given for; `grant` is set when it has been spent."""

    value: str = field(repr=False)
    client_id: str
    redirect_uri: str
    scope: str
    subject: str
    auth_time: int
    expires_at: float
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    grant: Grant | None = None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> list[str]:
        return ["pwd"]

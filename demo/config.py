"""What a demo provider is made of: its kind, policy, clients and accounts. Every secret is random per run."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

Kind = Literal["oidc", "oauth2"]
Rotation = Literal["none", "keep-old", "grace", "strict"]
Revocation = Literal["grant", "token", "account"]


def random_secret() -> str:
    """A password or client secret nobody can guess, safe in URLs and forms."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's account at a provider. `claims` are added to ID tokens, userinfo and JWT access tokens."""

    username: str
    subject: str
    name: str
    email: str
    email_verified: bool = True
    password: str = field(default_factory=random_secret, repr=False)
    claims: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def named(cls, username: str, claims: Mapping[str, object] | None = None) -> Self:
        """An account with a random subject; the subject is numeric, so that it suits both kinds of provider."""
        return cls(
            username=username,
            subject=str(10_000_000 + secrets.randbelow(90_000_000)),
            name=username.replace("-", " ").title(),
            email=f"{username}@example.org",
            claims=claims or {},
        )


@dataclass(frozen=True, slots=True)
class Client:
    """A client of a provider. Redirect URIs match exactly; `audience` is what its JWT access tokens are for.

    An empty `audience` stands for the client itself. Pages of `web_origins` may use the token endpoint (CORS).
    """

    client_id: str
    redirect_uris: tuple[str, ...]
    client_secret: str = field(default_factory=random_secret, repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email", "offline_access")
    auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    audience: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    web_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider: lifetimes in seconds, `rotation` = what becomes of a used refresh token.

    `revocation`: what revoking one token ends, its whole grant (RFC 7009), itself alone, or all grants of the
    account to the client.

    `oauth2` is the GitHub-like kind: no discovery, ID token, refresh token or `expires_in`; errors come with
    HTTP 200 and answers are form-encoded unless JSON is asked for. Its accounts need numeric subjects. With `offline`
    it gives refresh tokens and lifetimes like the other kind. `refresh_ends_access`: so it does to access tokens.
    """

    name: str
    kind: Kind = "oidc"
    clients: tuple[Client, ...] = ()
    accounts: tuple[Account, ...] = ()
    rotation: Rotation = "strict"
    grace_seconds: float = 30
    revocation: Revocation = "grant"
    access_token_lifetime: int = 3600
    jwt_access_tokens: bool = False
    sends_iss: bool = True
    offline: bool = False
    refresh_ends_access: bool = False

    @property
    def refreshes(self) -> bool:
        """Whether it gives refresh tokens at all."""
        return self.kind == "oidc" or self.offline

    def __post_init__(self) -> None:
        if self.kind == "oauth2" and not all(account.subject.isdecimal() for account in self.accounts):
            raise ValueError("an oauth2 provider knows its accounts by number")

"""A provider as its settings describe it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NewType

from tokenstore.core.secret import Secret

ProviderId = NewType("ProviderId", str)

LOGIN_PROVIDER = ProviderId("oidc")
"""Id of the login provider; reserved, so that it is never a token provider."""


class ProviderKind(StrEnum):
    """Whether an ID token is expected (`<ID>_TYPE`)."""

    OIDC = "oidc"
    OAUTH2 = "oauth2"


class RotationKind(StrEnum):
    """What becomes of a used refresh token (`<ID>_ROTATION`, refresh protocol section 7)."""

    NONE = "none"
    KEEP_OLD = "keep-old"
    GRACE = "grace"
    STRICT = "strict"


DEADLINE = timedelta(seconds=12)
"""Longest that a call to a provider may take, whatever has to be fetched for it first."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotation behaviour; `grace` is how long a used token still works, zero unless kind is GRACE."""

    kind: RotationKind = RotationKind.STRICT
    grace: timedelta = timedelta()

    @property
    def deadline(self) -> timedelta:
        """Longest a refresh call may take: with a known grace, short enough to retry inside it (12 s otherwise)."""
        if not self.grace:
            return DEADLINE
        return min(max(self.grace - timedelta(seconds=7), timedelta(seconds=5)), DEADLINE)

    @property
    def lease(self) -> timedelta:
        """How long a refresh may hold the link: ≥ deadline + 2 s, and inside a known grace where that is possible."""
        if not self.grace:
            return timedelta(seconds=20)
        return min(timedelta(seconds=20), max(self.deadline + timedelta(seconds=2), self.grace - timedelta(seconds=5)))


@dataclass(frozen=True, slots=True)
class Respect:
    """How long after its end the lease of another machine is respected: for `length`, but not `but_first`.

    On a link in doubt not `but_in_doubt`, which is shorter: its token may have been sent before the lease was renewed.
    """

    length: timedelta = timedelta()
    but_first: timedelta = timedelta()
    but_in_doubt: timedelta = timedelta()


NO_RESPECT = Respect()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of a provider. None: to be found in its metadata, or not offered."""

    authorize: str | None = None
    token: str | None = None
    refresh: str | None = None
    jwks: str | None = None
    userinfo: str | None = None
    revoke: str | None = None
    introspect: str | None = None
    end_session: str | None = None


@dataclass(frozen=True, slots=True)
class DisplayMetadata:
    """`<ID>_MD_*`: what user interfaces show; the URLs are http(s) or None."""

    name: str | None = None
    description: str | None = None
    url: str | None = None
    icon: str | None = None
    logo: str | None = None


_BY_ACCESS_TOKEN = frozenset({"bearer", "github-grant"})
_OFFLINE = frozenset({"offline_access", "refresh_token", "access_type=offline", "token_access_type=offline"})


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured provider: settings and preset merged and checked. Field meanings: the settings reference.

    `redirect_uri` is absolute and built from PUBLIC_URL.
    """

    id: ProviderId
    kind: ProviderKind
    client_id: str
    redirect_uri: str
    issuer: str | None = None
    discovery_url: str | None = None
    endpoints: Endpoints = Endpoints()
    client_secret: Secret | None = None
    further_secrets: tuple[Secret, ...] = ()
    auth_method: str = "client_secret_basic"
    scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    scope_param: str = "scope"
    pkce: bool = True
    prompt: str | None = None
    authorize_params: tuple[tuple[str, str], ...] = ()
    token_params: tuple[tuple[str, str], ...] = ()
    body_format: str = "form"
    refresh_params: tuple[tuple[str, str], ...] = ()
    refreshes: bool = True
    refresh_idle: timedelta | None = None
    audience_style: str = "none"
    refresh_scope: str = "none"
    refresh_ends_access: bool = False
    rotation: Rotation = Rotation()
    revokes_grant: bool = True
    revoke_style: str = "auto"
    default_expires_in: timedelta | None = None
    terminal_errors: frozenset[str] = frozenset()
    token_types: frozenset[str] = frozenset({"bearer"})
    token_path: str | None = None
    extra_tokens_path: str | None = None
    keep_fields: tuple[str, ...] = ()
    keep_callback_fields: tuple[str, ...] = ()
    subject_field: str = "sub"
    name_field: str = "name"
    email_field: str = "email"
    account_match: str = "auto"
    multi_account: bool = True
    allowed_hosts: frozenset[str] = frozenset()
    browser_tokens: bool = True
    id_token_algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    metadata: DisplayMetadata = DisplayMetadata()

    @property
    def called(self) -> str:
        """What texts for people call it, in the middle of a sentence."""
        if self.id == LOGIN_PROVIDER:
            return "the login provider"
        return self.metadata.name or f"the provider {self.id}"

    @property
    def effective_issuer(self) -> str:
        """The issuer that scopes account subjects: configured, else the origin of the token endpoint."""
        if self.issuer:
            return self.issuer
        scheme, _, rest = (self.endpoints.token or "").partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    @property
    def revokes_by_access_token(self) -> bool:
        """Whether an access token has to be sent to revoke what was given."""
        return self.revoke_style in _BY_ACCESS_TOKEN

    @property
    def expects_refresh_token(self) -> bool:
        """Whether linking without a refresh token is a failure: offline access was asked for, in whatever way."""
        asked = {*self.scopes, *("=".join(parameter) for parameter in self.authorize_params)}
        return self.refreshes and not asked.isdisjoint(_OFFLINE)

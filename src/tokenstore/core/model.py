"""The values the store works with: providers, accounts, links, tokens, attempts, outcomes.

Frozen and without clock, network or database. Instants are aware UTC datetimes, durations timedeltas.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

from tokenstore.core.secret import Secret

LinkId = NewType("LinkId", UUID)
UserId = NewType("UserId", UUID)
ProviderId = NewType("ProviderId", str)

LOGIN_PROVIDER = ProviderId("oidc")
"""Id of the login provider; reserved, so that it is never a token provider."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person at the login provider; e-mail and name never identify (OIDC Core section 5.7)."""

    issuer: str
    subject: str


class CallerKind(StrEnum):
    """How a caller proved who it is."""

    SESSION = "session"
    BEARER = "bearer"
    BASIC = "basic"
    API_KEY = "apikey-v1"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a person's session, or a program with credentials of the person's.

    `client` is the bearer token's `azp`/`client_id`; `session_key` is an opaque id of the browser session (never
    the cookie's value), present for sessions only; `address` is the client's network address for the audit.
    """

    kind: CallerKind
    identity: Identity
    client: str | None = None
    scopes: frozenset[str] = frozenset()
    session_key: str | None = None
    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """Where a person is logged in: one browser, from its login to `ends_at` at the latest. `agent`: its looks."""

    id: UUID
    agent: str | None
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """What a logout token says (OIDC Back-Channel Logout 1.0 section 2.4): whose logins end; all of them without `sid`.

    `id` is the token's `jti`; at least one of `subject` and `sid` is there.
    """

    issuer: str
    id: str
    subject: str | None
    sid: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What the login provider says of a user, kept for display and for the account policy."""

    identity: Identity
    name: str | None = None
    email: str | None = None
    email_verified: bool = False


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


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotation behaviour; `grace` is how long a used token still works, zero unless kind is GRACE."""

    kind: RotationKind = RotationKind.STRICT
    grace: timedelta = timedelta()

    @property
    def deadline(self) -> timedelta:
        """Longest a refresh call may take: with a known grace, short enough to retry inside it (12 s otherwise)."""
        if not self.grace:
            return timedelta(seconds=12)
        return min(max(self.grace - timedelta(seconds=7), timedelta(seconds=5)), timedelta(seconds=12))

    @property
    def lease(self) -> timedelta:
        """How long a refresh may hold the link: ≥ deadline + 2 s, and inside a known grace where that is possible."""
        if not self.grace:
            return timedelta(seconds=20)
        return min(timedelta(seconds=20), max(self.deadline + timedelta(seconds=2), self.grace - timedelta(seconds=5)))


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
    def expects_refresh_token(self) -> bool:
        """Whether linking without a refresh token is a failure: offline access was asked for, in whatever way."""
        asked = {*self.scopes, *("=".join(parameter) for parameter in self.authorize_params)}
        return self.refreshes and not asked.isdisjoint(_OFFLINE)


@dataclass(frozen=True, slots=True)
class Asked:
    """The variant a caller wants: scope, audience and resources; empty = whatever the link holds.

    Audience is the `audience` parameter of the wire; resources are RFC 8707 URIs.
    """

    scopes: frozenset[str] = frozenset()
    audience: str | None = None
    resources: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the link's plain token is wanted."""
        return not (self.scopes or self.audience or self.resources)

    @property
    def variant(self) -> str:
        """Key of the variant: SHA-256 hex of the canonical form; `default` when nothing was asked."""
        if self.nothing:
            return "default"
        canonical = json.dumps([sorted(self.scopes), self.audience, sorted(set(self.resources))])
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What a token endpoint returned, read and checked (RFC 6749 section 5.1).

    Lifetimes count from the moment of sending the request and already carry the safety allowance; None = not
    said. `scopes` None = as requested. `extra` holds the kept fields. `others` are the tokens for further resource
    servers that came along, by the server's name; they have no refresh token of their own here.
    """

    access_token: Secret
    expires_in: timedelta | None = None
    refresh_token: Secret | None = None
    refresh_expires_in: timedelta | None = None
    refresh_never_expires: bool = False
    scopes: frozenset[str] | None = None
    id_token: Secret | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    others: Mapping[str, TokenSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token in hand. `expires_at` None: the provider did not say."""

    value: Secret
    scopes: frozenset[str]
    issued_at: datetime
    expires_at: datetime | None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def lifetime(self) -> timedelta | None:
        """How long it was good for when it was issued; None if the provider did not say."""
        return None if self.expires_at is None else self.expires_at - self.issued_at

    def left(self, now: datetime) -> timedelta | None:
        """Time until its end, negative after it; None if the provider did not say."""
        return None if self.expires_at is None else self.expires_at - now

    def fresh_for(self, margin: timedelta, now: datetime) -> bool:
        """Whether it is known to outlive now + margin. An unknown end counts as fresh: it is served until refused."""
        left = self.left(now)
        return left is None or left >= margin


class LinkState(StrEnum):
    """Stored state of a link (refresh protocol section 2)."""

    ACTIVE = "active"
    SUSPECT = "suspect"
    BROKEN = "broken"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Account:
    """The account at the provider: identified by (issuer, subject), the rest is for display."""

    issuer: str
    subject: str
    name: str | None = None
    email: str | None = None
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """One user's connection to one account at one provider, without its secrets."""

    id: LinkId
    user_id: UserId
    provider_id: ProviderId
    client_id: str
    account: Account
    is_default: bool
    label: str | None
    state: LinkState
    version: int
    has_refresh_token: bool
    scopes_requested: frozenset[str]
    scopes_granted: frozenset[str]
    linked_at: datetime
    fail_count: int = 0
    lease_until: datetime | None = None
    next_try_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    last_refresh_at: datetime | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    def refreshable_by(self, client_id: str) -> bool:
        """Whether it holds a refresh token that was given to this client and not refused since."""
        alive = self.state in {LinkState.ACTIVE, LinkState.SUSPECT}
        return alive and self.has_refresh_token and self.client_id == client_id


@dataclass(frozen=True, slots=True)
class Holding:
    """One consistent read of a link and one variant's access token, at the database's `now`."""

    link: Link
    token: AccessToken | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to spend a link's refresh token until its `lease_until` (database clock). `version` is the fence."""

    link: Link
    owner: str
    version: int
    refresh_token: Secret
    previous_token: Secret | None


@dataclass(frozen=True, slots=True)
class HandOut:
    """An access token as a caller gets it. `expires_in` counts from `now`; `cached`: no provider call was made."""

    link_id: LinkId
    token: AccessToken
    expires_in: timedelta | None
    cached: bool


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


@dataclass(frozen=True, slots=True)
class Granted:
    """200 with a usable token."""

    tokens: TokenSet


@dataclass(frozen=True, slots=True)
class Refused:
    """A terminal error code about this grant, e.g. `invalid_grant`: ambiguous until re-read and confirmed."""

    code: str


ACCOUNT_CHANGED = "account-changed"
"""Code of `Refused` where a refresh brought tokens of another account; they are not used."""


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The provider refuses us or our request (`invalid_client`, other 4xx): the operator's business."""

    code: str


@dataclass(frozen=True, slots=True)
class ScopeRefused:
    """`invalid_scope` or `invalid_target`: what was asked for is not to be had; the link stays whole."""

    code: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A passing fault in which the request was surely not carried out (not sent, 429, 5xx).

    `reason` is `status-<number>` for an HTTP status, the provider's code where we know it, else a word of ours.
    """

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """A fault after bytes were sent: the refresh token may have been rotated.

    `refresh_token` is set when a well-formed one could be read from an otherwise useless answer: it must be saved.
    """

    reason: str
    refresh_token: Secret | None = None


Outcome = Granted | Refused | Misconfigured | ScopeRefused | Unavailable | Unclear


class RevocationResult(StrEnum):
    """The receipt of an upstream revocation."""

    CONFIRMED = "confirmed"
    QUEUED = "queued"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: network address, and its name in the log."""

    address: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One lifecycle event, written in the transaction it belongs to. `action` is listed in the events reference.

    `origin` is for events without a caller, who brings one along.
    """

    action: str
    outcome: str
    caller: Caller | None = None
    user: Identity | None = None
    provider_id: str | None = None
    link_id: LinkId | None = None
    reason: str | None = None
    origin: Origin | None = None

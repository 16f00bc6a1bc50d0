"""What is peculiar to one provider on the wire, as values and small functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from demo.config import Account, Kind, Rotation

Members = dict[str, Any]


class RefusedError(Exception):
    """A request that the provider would not take; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a token answer is about: whose it is, and whether a refresh token was spent for it."""

    account: Account
    refreshed: bool


def plain(members: Members, _about: Answer) -> Members:
    """An answer as the demo's provider gives it."""
    return members


def claims(account: Account) -> Members:
    """Userinfo as OpenID Connect has it, with whatever the scopes open."""
    return {"sub": account.subject, "name": account.name, "email": account.email}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """One provider.

    preset         the preset it stands in for; `vars` and `scope` are what an operator writes with it
    paths          where its endpoints stand, by the demo's names
    issuer_path    path of the issuer
    offline_when   parameters of the authorization request that make it give a refresh token; None: it never does
    hidden_scopes  scopes that it takes and does not name among the granted ones
    knows          parameters that it knows besides those of OAuth and OpenID Connect; any other is refused
    scope_param    the parameter with the scopes, which are separated by `separator` in requests and `joins` in answers
    pkce           whether it takes the parameters of PKCE
    auth, body     how the client proves who it is at the token endpoint, and how bodies are written
    refresh_needs  parameters without which it does not refresh
    answer         what becomes of a token answer
    person         what userinfo says; None: there is none
    subject        how the account is named where the preset looks
    revocation     how tokens are revoked
    errors         status of errors; `says_ok`: every answer says `ok`, and errors come with HTTP 200
    """

    preset: str
    paths: Mapping[str, str]
    vars: Mapping[str, str] = field(default_factory=dict)
    scope: str | None = None
    kind: Kind = "oidc"
    issuer_path: str = ""
    rotation: Rotation = "strict"
    lifetime: int = 3600
    refresh_ends_access: bool = False
    offline_when: Mapping[str, str] | None = field(default_factory=dict)
    hidden_scopes: frozenset[str] = frozenset()
    knows: frozenset[str] = frozenset()
    scope_param: str = "scope"
    separator: str = " "
    joins: str = " "
    pkce: bool = True
    auth: Literal["basic", "post"] = "post"
    body: Literal["form", "json"] = "form"
    refresh_needs: tuple[str, ...] = ()
    answer: Callable[[Members, Answer], Members] = plain
    person: Callable[[Account], Members] | None = claims
    subject: Callable[[Account], str] = lambda account: account.subject
    revocation: Literal["rfc7009", "bearer", "github-grant", "none"] = "rfc7009"
    errors: int = 400
    says_ok: bool = False

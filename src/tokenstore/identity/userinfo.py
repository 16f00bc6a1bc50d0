"""Callers whose credentials only the operator's own functions know: `X-Api-Key` and `Authorization: Basic`.

The functions are those of `USERINFO_MAP`, with the reference's conventions: each is called with one mapping, which has
`username` and `password` for `basic` and `token` for `apikey-v1`, and returns a user, or None for credentials that are
not good. Nothing is remembered: each request is asked about anew.
"""

from __future__ import annotations

import base64
import binascii
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from flask import request

from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, TokenStoreError
from tokenstore.identity.user import Authenticated, User, scopes_of, strings, text
from tokenstore.providers.fields import subject_text

Function = Callable[..., Any]
"""Of `USERINFO_MAP`: a mapping of texts in, a user (attributes or members `id`, `name`, `email`, …) or None out."""

KINDS = {"basic": CallerKind.BASIC, "apikey-v1": CallerKind.API_KEY}
"""The credential types that `USERINFO_MAP` may name."""

MOST = 4096
"""Characters of the longest credentials that are looked at."""


def function_of(value: object) -> Function:
    """The function itself, or the one named `module:function`. Raises ValueError in words that follow its name."""
    if callable(value):
        given: Function = value
        return given
    if not isinstance(value, str) or value.count(":") != 1:
        raise ValueError("is no function: write one, or its name as module:function")
    module, _, name = value.partition(":")
    try:
        found: Function = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001  (whatever an operator's module raises is told as one problem)
        raise ValueError(f"names {value}, which cannot be imported ({type(error).__name__})") from None
    if not callable(found):
        raise ValueError(f"names {value}, which is no function")
    return found


class BasicScheme:
    """`Authorization: Basic` (RFC 7617) by a function of user name and password.

    Users are those of `issuer` unless their claims name another.
    """

    def __init__(self, function: Function, issuer: str) -> None:
        self._function = function
        self._issuer = issuer

    def authenticate(self) -> Authenticated | None:
        """The caller; None if the request has no `Authorization: Basic`. Raises BadCredentials."""
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        name, password = _pair(encoded.strip())
        credentials = {"username": name, "password": password.reveal()}
        return _authenticated(CallerKind.BASIC, self._issuer, self._function, credentials)


class ApiKeyScheme:
    """`X-Api-Key` by a function of the key; without a function every key is refused.

    Users are those of `issuer` unless their claims name another.
    """

    def __init__(self, function: Function | None, issuer: str) -> None:
        self._function = function
        self._issuer = issuer

    def authenticate(self) -> Authenticated | None:
        """The caller; None if the request has no `X-Api-Key`. Raises BadCredentials."""
        header = request.headers.get("X-Api-Key")
        if header is None:
            return None
        key = Secret(header)
        if self._function is None or not 0 < len(header) <= MOST:
            raise _refused()
        return _authenticated(CallerKind.API_KEY, self._issuer, self._function, {"token": key.reveal()})


def user_of(found: object) -> User:
    """The user that a function returned, whether an object or a mapping. Raises ValueError without a proper `id`."""

    def member(name: str) -> object:
        return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)

    identifier, claims = subject_text(member("id")), member("claims")
    if identifier is None:
        raise ValueError("the user has no id, or one that is no subject")
    if isinstance(claims, Mapping) and "iss" in claims and subject_text(claims["iss"]) is None:
        raise ValueError("the user claims an issuer that is none")
    return User(
        id=identifier,
        name=text(member("name")),
        email=text(member("email")),
        email_verified=member("email_verified") is True,
        roles=strings(_listed(member("roles"))),
        scopes=tuple(scopes_of({"scope": _listed(member("scopes"))})),
        claims=dict(claims) if isinstance(claims, Mapping) else {},
    )


def _authenticated(kind: CallerKind, issuer: str, function: Function, credentials: Mapping[str, str]) -> Authenticated:
    """The caller that the function knows: a user of the login provider, unless the claims name another `iss`."""
    try:
        found = function(dict(credentials))
        user = None if found is None else user_of(found)
    except Exception as error:  # noqa: BLE001  (its text may repeat the credentials, so no more than its name is kept)
        name = getattr(function, "__name__", "?")
        raise TokenStoreError(
            "Something went wrong on our side. Tell the operator the request id.",
            debug=f"USERINFO_MAP {kind.value}: {name} failed with {type(error).__name__}",
        ) from None
    if user is None:
        raise _refused()
    identity = Identity(subject_text(user.claims.get("iss")) or issuer, user.id)
    return Authenticated(Caller(kind, identity, scopes=frozenset(user.scopes)), user)


def _pair(encoded: str) -> tuple[str, Secret]:
    try:
        plain = base64.b64decode(encoded, validate=True).decode() if len(encoded) <= MOST else ""
    except (binascii.Error, UnicodeDecodeError):
        plain = ""
    name, colon, password = plain.partition(":")
    if not colon or not name:
        raise _refused()
    return name, Secret(password)


def _listed(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return list(value) if isinstance(value, tuple) else value


def _refused() -> BadCredentials:
    return BadCredentials("These credentials are not valid here.")

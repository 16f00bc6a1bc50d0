"""What views ask: who is calling? `Authorization` first, then `X-Api-Key`, then the session.

The first that is there decides: bad credentials are never rescued by others. Query strings hold no credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Protocol

from flask import g, request

from tokenstore.core.model import Caller, Identity, Origin
from tokenstore.errors import PolicyDenied, Unauthenticated
from tokenstore.identity.browser import SessionScheme
from tokenstore.identity.user import Authenticated


class Scheme(Protocol):
    """One way in which a program says who it is."""

    def authenticate(self) -> Authenticated | None:
        """The caller of the current request, None without credentials of this scheme. Raises BadCredentials."""


class Guards:
    """Authenticates each request once.

    programs    the schemes of programs, in the order in which they decide
    session     the scheme of browsers
    request_id  names the current request, for the audit
    disabled    the users who may not come in, whatever their credentials
    """

    def __init__(
        self,
        programs: Sequence[Scheme],
        session: SessionScheme,
        request_id: Callable[[], str],
        disabled: Container[Identity] = frozenset(),
    ) -> None:
        self._programs = programs
        self._session = session
        self._request_id = request_id
        self._disabled = disabled

    def require_user(self) -> Authenticated:
        """The caller. Raises Unauthenticated, BadCredentials, PolicyDenied (disabled user), and what schemes raise."""
        authenticated: Authenticated | None = g.get("authenticated")
        if authenticated is None:
            authenticated = self._program() or self._session.authenticate()
            if authenticated is None:
                raise Unauthenticated("Log in, or send an access token of the login provider.")
            g.authenticated = authenticated = self._placed(authenticated)
        return authenticated

    def visitor(self) -> Authenticated | None:
        """The person at the browser, None if nobody is logged in. Pages and callbacks know no other callers."""
        authenticated = self._session.authenticate()
        return self._placed(authenticated) if authenticated else None

    def _program(self) -> Authenticated | None:
        for scheme in self._programs:
            authenticated = scheme.authenticate()
            if authenticated is not None:
                if authenticated.caller.identity in self._disabled:
                    raise PolicyDenied("This user is disabled. Ask the operator.")
                return authenticated
        return None

    def origin(self) -> Origin:
        """Where the current request comes from, for the audit of what nobody has proved to have done."""
        return Origin(request.remote_addr, self._request_id())

    def _placed(self, authenticated: Authenticated) -> Authenticated:
        """The same caller with the address and id of this request."""
        # Member by member: `dataclasses.replace` costs several times that, and every request comes here.
        known = authenticated.caller
        caller = Caller(
            known.kind,
            known.identity,
            known.client,
            known.scopes,
            known.session_key,
            request.remote_addr,
            self._request_id(),
        )
        return Authenticated(caller, authenticated.user)

"""What views ask: who is calling? `Authorization` first, then the session; the first that is there decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import g, request

from tokenstore.errors import Unauthenticated
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.browser import SessionScheme
from tokenstore.identity.user import Authenticated


class Guards:
    """Authenticates each request once. request_id: names the current request, for the audit."""

    def __init__(self, bearer: BearerScheme, session: SessionScheme, request_id: Callable[[], str]) -> None:
        self._bearer = bearer
        self._session = session
        self._request_id = request_id

    def require_user(self) -> Authenticated:
        """The caller, by bearer token or session. Raises Unauthenticated, BadCredentials."""
        authenticated: Authenticated | None = g.get("authenticated")
        if authenticated is None:
            authenticated = self._bearer.authenticate() or self._session.authenticate()
            if authenticated is None:
                raise Unauthenticated("Log in, or send an access token of the login provider.")
            g.authenticated = authenticated = self._placed(authenticated)
        return authenticated

    def visitor(self) -> Authenticated | None:
        """The person at the browser, None if nobody is logged in. Pages and callbacks know no other callers."""
        authenticated = self._session.authenticate()
        return self._placed(authenticated) if authenticated else None

    def _placed(self, authenticated: Authenticated) -> Authenticated:
        """The same caller with the address and id of this request."""
        caller = replace(authenticated.caller, address=request.remote_addr, request_id=self._request_id())
        return replace(authenticated, caller=caller)

"""Callers with a browser session: what a login leaves in the session, and how it is read back."""

from __future__ import annotations

import secrets
from typing import Any, cast

from flask import session

from tokenstore.core.login import LoggedIn
from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.secret import Secret
from tokenstore.identity.user import Authenticated, user_from_claims

_USER = "user"
_ID_TOKEN = "id_token"
_KEY = "key"


class SessionScheme:
    """The browser session, which `Flask-Session` keeps on the server."""

    def __init__(self, role_claims: tuple[str, ...]) -> None:
        self._role_claims = role_claims

    def authenticate(self) -> Authenticated | None:
        """The person logged in in this browser, None if nobody is."""
        kept = session.get(_USER)
        if not isinstance(kept, dict):
            return None
        claims = cast("dict[str, Any]", kept["claims"])  # written by `keep_login` only; the session is sealed
        caller = Caller(CallerKind.SESSION, Identity(kept["issuer"], kept["subject"]), session_key=session_key())
        return Authenticated(caller, user_from_claims(claims, self._role_claims))


def session_key() -> str:
    """An opaque name of this browser session that outlives changes of its id; made on first use."""
    key = session.get(_KEY)
    if not isinstance(key, str):
        key = session[_KEY] = secrets.token_urlsafe(16)
    return key


def known_session_key() -> str | None:
    """The session's key if it has one; never makes one."""
    key = session.get(_KEY)
    return key if isinstance(key, str) else None


def keep_login(logged_in: LoggedIn) -> None:
    """Put a login into the (already renewed) session."""
    identity = logged_in.profile.identity
    session[_USER] = {"issuer": identity.issuer, "subject": identity.subject, "claims": dict(logged_in.claims)}
    if logged_in.id_token is not None:
        session[_ID_TOKEN] = logged_in.id_token.reveal()  # sealed with the rest of the session, needed at logout
    session_key()


def id_token() -> Secret | None:
    """The ID token of the login, for RP-initiated logout."""
    kept = session.get(_ID_TOKEN)
    return Secret(kept) if isinstance(kept, str) else None

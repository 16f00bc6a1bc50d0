"""Callers with a browser session: what a login leaves in the session, and how it is read back."""

from __future__ import annotations

import json
import secrets
from typing import Any
from uuid import UUID

from flask import session

from tokenstore.core.login import LoggedIn
from tokenstore.core.model import Caller, CallerKind, Identity
from tokenstore.core.ports import LoginStore
from tokenstore.core.secret import Secret
from tokenstore.identity.user import Authenticated, user_from_claims

_USER = "user"
_ID_TOKEN = "id_token"
_KEY = "key"


class SessionScheme:
    """The browser session, which `Flask-Session` keeps on the server, as long as `logins` know of its login."""

    def __init__(self, role_claims: tuple[str, ...], logins: LoginStore) -> None:
        self._role_claims = role_claims
        self._logins = logins

    def authenticate(self) -> Authenticated | None:
        """The person logged in in this browser, None if nobody is; a session whose login is over is emptied.

        Raises StorageUnavailable.
        """
        known = known_login()
        if known is None:
            return None
        identity, login = known
        if self._logins.holder(login) != identity:
            session.clear()
            return None
        claims: dict[str, Any] = json.loads(session[_USER]["claims"])
        caller = Caller(CallerKind.SESSION, identity, session_key=session_key())
        return Authenticated(caller, user_from_claims(claims, self._role_claims))


def session_key() -> str:
    """An opaque name of this browser session between two logins; made on first use."""
    key = session.get(_KEY)
    if not isinstance(key, str):
        key = session[_KEY] = secrets.token_urlsafe(16)
    return key


def known_session_key() -> str | None:
    """The session's key if it has one; never makes one."""
    key = session.get(_KEY)
    return key if isinstance(key, str) else None


def known_login() -> tuple[Identity, UUID] | None:
    """Whose login this session holds, and its id among those that the store keeps; it may be over."""
    kept = session.get(_USER)
    if not isinstance(kept, dict) or "login" not in kept:
        return None
    return Identity(kept["issuer"], kept["subject"]), UUID(kept["login"])


def keep_login(logged_in: LoggedIn, login: UUID) -> None:
    """Put a login, kept under this id, into the (already renewed) session."""
    identity = logged_in.profile.identity
    # As JSON, because msgpack has no place for what claims may hold, such as numbers beyond 64 bits.
    claims = json.dumps(dict(logged_in.claims))
    session[_USER] = {"issuer": identity.issuer, "subject": identity.subject, "claims": claims, "login": str(login)}
    if logged_in.id_token is not None:
        session[_ID_TOKEN] = logged_in.id_token.reveal()  # sealed with the rest of the session, needed at logout
    # A new key, so that no attempt begun before this login, perhaps by somebody else, can be completed after it.
    session[_KEY] = secrets.token_urlsafe(16)


def id_token() -> Secret | None:
    """The ID token of the login, for RP-initiated logout."""
    kept = session.get(_ID_TOKEN)
    return Secret(kept) if isinstance(kept, str) else None

"""Where people are logged in: looking at it, signing out there, and hearing of it from the login provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from tokenstore.core.model import AuditEvent, Caller, Identity, Login, LogoutNotice
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LoginStore
from tokenstore.core.secret import Secret
from tokenstore.errors import InvalidRequest, NotFound

NOTICES_KEPT = timedelta(minutes=15)
"""How long a logout token is known by its id; it is refused for its age long before."""

VerifyLogout = Callable[[Secret], LogoutNotice]
"""Checks a logout token and says what it means; raises InvalidRequest, ProviderUnavailable, ProviderMisconfigured."""


class SessionService:
    """Keeps, shows and ends the logins of users."""

    def __init__(self, policy: Policy, logins: LoginStore, verify: VerifyLogout) -> None:
        self._policy = policy
        self._logins = logins
        self._verify = verify

    def begin(self, user: Identity, sid: str | None, agent: str | None) -> UUID:
        """Keep a login that was just completed; its id. Raises PolicyDenied (disabled user), StorageUnavailable."""
        return self._logins.begin(user, sid, agent)

    def logins(self, caller: Caller) -> Sequence[Login]:
        """Where the caller's user is logged in, the one seen last first. Raises PolicyDenied, StorageUnavailable."""
        self._policy.require(caller, caller.identity, Action.SESSIONS)
        return self._logins.logins(caller.identity)

    def end(self, caller: Caller, login_id: UUID) -> None:
        """End one login of the caller's user. Raises NotFound, PolicyDenied, StorageUnavailable."""
        self._policy.require(caller, caller.identity, Action.SESSIONS)
        event = AuditEvent("login.ended", "success", caller, caller.identity, reason="signed-out")
        if not self._logins.end(caller.identity, login_id, event):
            raise NotFound("You are not logged in there, or not any more.")

    def end_all(self, caller: Caller) -> int:
        """End all logins of the caller's user; how many there were. Raises PolicyDenied, StorageUnavailable."""
        self._policy.require(caller, caller.identity, Action.SESSIONS)
        event = AuditEvent("login.ended", "success", caller, caller.identity, reason="everywhere")
        return self._logins.end(caller.identity, None, event)

    def logged_out(self, user: Identity, login_id: UUID) -> None:
        """The person logged out in that browser."""
        self._logins.end(user, login_id, AuditEvent("login.ended", "success", user=user, reason="logout"))

    def hear(self, logout_token: Secret) -> int:
        """The login provider says that somebody logged out (OIDC Back-Channel Logout 1.0); how many logins that ended.

        Raises InvalidRequest (no acceptable token, or one that came before), StorageUnavailable and what
        `verify` raises.
        """
        notice = self._verify(logout_token)
        ended = self._logins.end_by_notice(
            notice, NOTICES_KEPT, AuditEvent("login.ended", "success", reason="back-channel")
        )
        if ended is None:
            raise InvalidRequest("This logout token was already used.")
        return ended

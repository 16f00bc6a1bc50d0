"""Who may do what: the one authorisation function. Default deny."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tokenstore.core.model import Caller, CallerKind, Identity, Provider
from tokenstore.errors import PolicyDenied

_PROGRAMS = frozenset({CallerKind.BEARER, CallerKind.BASIC, CallerKind.API_KEY})


class Action(StrEnum):
    """What a caller wants to do with a user's links, or with the places where the user is logged in."""

    LIST = "list"
    LINK = "link"
    UNLINK = "unlink"
    CHOOSE = "choose"
    TOKEN = "token"
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, with the public reason of a no."""

    allow: bool
    reason: str = ""


class Policy:
    """Decides before anything about a link is read, so that a refusal never tells whether one exists.

    required_scope: scope every program's credentials must carry (`OIDC_REQUIRED_SCOPE`), None for no such demand.
    """

    def __init__(self, required_scope: str | None = None) -> None:
        self._required_scope = required_scope

    def allows(self, caller: Caller, user: Identity, action: Action, provider: Provider | None = None) -> Decision:
        """Whether `caller` may do `action` to the links of `user` (at `provider`, None: at all of them)."""
        if caller.identity != user:
            return Decision(False, "You can only use your own links.")
        if caller.kind in _PROGRAMS:
            if self._required_scope and self._required_scope not in caller.scopes:
                return Decision(False, f"These credentials lack the scope {self._required_scope!r}.")
            return Decision(True)
        if caller.kind is CallerKind.SESSION:
            if action is Action.TOKEN and provider is not None and not provider.browser_tokens:
                return Decision(False, "Access tokens of this provider are not given to browsers. Use a program.")
            return Decision(True)
        return Decision(False, "This kind of caller is not known.")

    def require(self, caller: Caller, user: Identity, action: Action, provider: Provider | None = None) -> None:
        """Raise PolicyDenied unless `allows`."""
        decision = self.allows(caller, user, action, provider)
        if not decision.allow:
            raise PolicyDenied(decision.reason)

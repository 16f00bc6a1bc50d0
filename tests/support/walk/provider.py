"""A provider in memory that rotates refresh tokens and knows of each what became of it; it plays the client's port.

What it cannot forgive it does not forgive: a used token ends its whole family, unless the policy lets it be used again.
Every token is known by who has it, so that of each loss it can be said whether anybody could have prevented it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from support.walk.movers import Mover, current_mover
from tokenstore.core.model import (
    Account,
    Asked,
    Attempt,
    Granted,
    Outcome,
    Provider,
    Refused,
    RevocationResult,
    RotationKind,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import CallbackIssuer, Identified
from tokenstore.core.refresh.refresher import respect
from tokenstore.core.refresh.tenure import SPARE_SECONDS
from tokenstore.core.secret import Secret

ISSUER = "https://idp.example"
LIFETIME = timedelta(hours=1)

FATES = ("lost", "silent", "unsent", "busy", "salvaged", "mistaken")
"""What may become of a call: done and its answer lost; not done and no answer; not sent; told to wait; done and the
answer useless but for its refresh token; refused for no reason."""


@dataclass
class Family:
    """What one consent gave. `attached`: it became a link; `ended`: which is unlinked, or linked again.

    `excused`: a loss that nobody can prevent has happened to it.
    """

    subject: str
    dead: bool = False
    attached: bool = False
    ended: bool = False
    excused: bool = False


@dataclass
class Token:
    """A refresh token. `sent`: when the request was sent that used it first; `holder`: who received it.

    `safe`: on a disk, or in the database, and since when; `saved_at`: in the database; `lost`: nowhere.
    """

    value: str
    family: Family
    holder: Mover | None
    used_at: float | None = None
    sent: float = 0.0
    successor: Token | None = None
    revoked: bool = False
    safe: bool = False
    safe_at: float = math.inf
    saved_at: float = math.inf
    lost: bool = False


@dataclass
class RotatingProvider:
    """The `ProviderClient` port. `fates`: of the next calls; `complain`: hears of what must not be."""

    now: Callable[[], float]
    complain: Callable[[str], None]
    fates: list[str] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)
    access: dict[str, Family] = field(default_factory=dict)

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:  # noqa: ARG002  (the port's)
        return attempt.state.reveal()

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:  # noqa: ARG002
        return CallbackIssuer(ISSUER, required=False)

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:  # noqa: ARG002
        return None

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:  # noqa: ARG002
        """The code is the account's subject."""
        if self.fates and self.fates[0] in {"silent", "unsent", "busy", "mistaken"}:
            return self._undone(self.fates.pop(0))
        family = Family(code.reveal())
        self.families.append(family)
        return self._answer(self._new(family))

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:  # noqa: ARG002
        return Identified(Account(ISSUER, self.access[tokens.access_token.reveal()].subject), {})

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,  # noqa: ARG002
        granted: frozenset[str],  # noqa: ARG002
        account: Account | None = None,
    ) -> Outcome:
        sent = current_mover().stopped_at
        token = self.tokens[refresh_token.reveal()]
        if account is not None and account.subject != token.family.subject:
            self.complain(f"a token of {token.family.subject} sent for {account.subject}")
        if self.now() - sent > provider.rotation.deadline.total_seconds():
            return Unclear("deadline")  # it never went out
        if self.fates and self.fates[0] in {"silent", "unsent", "busy", "mistaken"}:
            fate = self.fates.pop(0)
            token.family.excused |= fate == "mistaken"
            return self._undone(fate)
        if token.revoked or token.family.dead:
            return Refused("invalid_grant")
        if token.used_at is not None and not self._reusable(token, provider):
            self._reused(token, provider)
            return Refused("invalid_grant")
        return self._answer(self._rotated(token, provider, sent))

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        fate = self.fates.pop(0) if self.fates else None
        if fate not in {None, "lost"}:
            return RevocationResult.FAILED
        found = self.tokens.get(token.reveal())
        if provider.revokes_grant:
            origin = found.family if found else self.access[token.reveal()]
            for family in self.families:
                if family.subject == origin.subject:
                    family.dead = True
                    # Of what never was a link no trace is left that a linking under way could find. An unlinking it
                    # finds by the time that has passed, which here passes without its knowing: see the conformance
                    # suite of link stores.
                    family.excused |= not family.attached
        elif found is not None:
            found.revoked = True
        return RevocationResult.CONFIRMED if fate is None else RevocationResult.FAILED

    def live(self) -> list[Token]:
        """The refresh tokens whose successor has not been given, and that are taken."""
        found = self.tokens.values()
        return [one for one in found if one.used_at is None and not one.revoked and not one.family.dead]

    def _undone(self, fate: str) -> Outcome:
        match fate:
            case "silent":
                return Unclear("timeout")
            case "busy":
                return Unavailable("status-503", timedelta(seconds=5))
            case "mistaken":
                return Refused("invalid_grant")
            case _:
                return Unavailable("connect")

    def _new(self, family: Family) -> Token:
        token = Token(f"refresh-{len(self.tokens) + 1}", family, None)
        self.tokens[token.value] = token
        return token

    def _rotated(self, token: Token, provider: Provider, sent: float) -> Token:
        if provider.rotation.kind is RotationKind.NONE:
            return token
        if token.used_at is not None and provider.rotation.kind is RotationKind.GRACE:
            while token.successor is not None:
                token = token.successor
            return token
        if token.used_at is None:
            token.used_at, token.sent = self.now(), sent
        elif token.successor is not None:
            # Of two that took the place of one, the store lets go of the earlier one, as of every replaced token.
            token.successor.used_at = self.now()
        token.successor = self._new(token.family)
        return token.successor

    def _answer(self, given: Token) -> Outcome:
        """The token on its way, by the fate of the call."""
        fate = self.fates.pop(0) if self.fates else None
        if not given.safe:
            given.holder, given.lost = current_mover(), fate == "lost"
        access = f"access-{len(self.access) + 1}"
        self.access[access] = given.family
        match fate:
            case "lost":
                return Unclear("reset")
            case "salvaged":
                return Unclear("not-json", Secret(given.value))
            case _:
                return Granted(TokenSet(Secret(access), LIFETIME, Secret(given.value)))

    def _reusable(self, token: Token, provider: Provider) -> bool:
        if provider.rotation.kind is RotationKind.GRACE:
            assert token.used_at is not None
            return self.now() - token.used_at <= provider.rotation.grace.total_seconds()
        return provider.rotation.kind is RotationKind.KEEP_OLD

    def _reused(self, token: Token, provider: Provider) -> None:
        token.family.dead = True
        if not self._unpreventable(token, provider):
            self.complain(f"{token.value} was used twice")
        token.family.excused = True

    def _unpreventable(self, token: Token, provider: Provider) -> bool:
        """Whether the successor is lost, or held by one who has slept so long that others could not wait for it.

        What it does once others have taken its place comes too late.
        """
        newest = token.successor
        assert newest is not None
        if newest.lost or token.family.excused:
            return True
        mover = current_mover()
        if newest.saved_at < mover.leased_at or newest.holder is None:
            return False
        same_machine = newest.holder.machine == mover.machine
        if newest.safe_at < mover.leased_at and same_machine:
            return False
        rotation = provider.rotation
        waited = rotation.deadline.total_seconds() + SPARE_SECONDS
        waited += 0 if same_machine else respect(rotation).length.total_seconds()
        return self.now() - token.sent >= waited

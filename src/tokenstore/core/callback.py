"""What a redirect URI accepts: the checks that linking and login share, in their one order (RFC 9700 section 4).

Nothing is redeemed here: a code is only returned for an attempt that passed every check.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from tokenstore.core.model import Attempt, Callback, Identity, Provider, Purpose
from tokenstore.core.ports import AttemptStore, ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.errors import AttemptExpired, InvalidRequest, LinkDenied

DENIALS = frozenset({"access_denied", "consent_required", "interaction_required", "login_required"})
"""Error codes that mean the person, or the provider on their behalf, said no (RFC 6749 section 4.1.2.1, OIDC Core)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An attempt that came back as it left, and the code to redeem for it."""

    attempt: Attempt
    code: Secret


@dataclass(frozen=True, slots=True)
class Visitor:
    """The browser at the redirect URI: its session and who is logged in there, if anybody."""

    session_key: str | None
    user: Identity | None


class CallbackCheck:
    """Takes the attempt of a callback and compares it with the browser that came back."""

    def __init__(self, attempts: AttemptStore, client: ProviderClient) -> None:
        self._attempts = attempts
        self._client = client

    def take(self, callback: Callback) -> Attempt | None:
        """The attempt that the callback belongs to, which is over from now on; None if it is unknown or used."""
        state = next(iter(callback.parameters.get("state", ())), None)
        return self._attempts.take(state) if state else None

    def accept(
        self, attempt: Attempt | None, callback: Callback, purpose: Purpose, provider: Provider, visitor: Visitor
    ) -> Accepted:
        """The attempt that was taken, and the code.

        Raises InvalidRequest (repeated or missing parameter), AttemptExpired (unknown, used, expired, other provider,
        session or user), LinkDenied (foreign issuer, or the provider said no).
        """
        if callback.repeated:
            raise InvalidRequest("The provider's answer repeats a parameter. Start again.")
        if attempt is None:
            raise expired("unknown or used")
        if attempt.expires_at <= self._attempts.now():
            raise expired("too late")
        if attempt.purpose is not purpose or attempt.provider_id != provider.id:
            raise expired("another provider")
        self._same_visitor(attempt, visitor)
        self._same_issuer(callback, provider)
        self._no_error(callback, provider)
        code = callback.one("code")
        if not code:
            raise InvalidRequest("The provider's answer has no code. Start again.")
        return Accepted(attempt, Secret(code))

    def is_of(self, attempt: Attempt, purpose: Purpose, provider: Provider, visitor: Visitor) -> bool:
        """Whether this visitor began the attempt, for this purpose and provider."""
        try:
            self._same_visitor(attempt, visitor)
        except AttemptExpired:
            return False
        return attempt.purpose is purpose and attempt.provider_id == provider.id

    def _same_visitor(self, attempt: Attempt, visitor: Visitor) -> None:
        if attempt.session_key is not None and not same(attempt.session_key, visitor.session_key):
            raise expired("another session")
        if attempt.user is not None and attempt.user != visitor.user:
            raise expired("another user")

    def _same_issuer(self, callback: Callback, provider: Provider) -> None:
        """RFC 9207 section 2.4: compare `iss` when it comes, demand it where the provider announced it."""
        issuer = self._client.callback_issuer(provider)
        got = callback.one("iss")
        if got is None and issuer.required:
            raise LinkDenied("The provider's answer does not say who sent it. Nothing was stored. Start again.")
        if got is not None and issuer.expected is not None and got != issuer.expected:
            raise LinkDenied("The answer came from another provider. Nothing was stored. Start again.")

    def _no_error(self, callback: Callback, provider: Provider) -> None:
        error = callback.one("error")
        if error is None:
            return
        if error in DENIALS:
            raise LinkDenied(f"Access was not allowed at {provider.called}. Nothing was stored.", debug=error)
        raise LinkDenied(f"An error came from {provider.called}. Nothing was stored. Try again later.", debug=error)


def expired(reason: str) -> AttemptExpired:
    """One answer for every way an attempt can be over; the reason is for our log."""
    return AttemptExpired(
        "This attempt is unknown, used, too old, or was begun in another browser or by another user. Start again.",
        debug=reason,
    )


def same(expected: str, got: str | None) -> bool:
    """Constant-time comparison."""
    return got is not None and hmac.compare_digest(expected.encode(), got.encode())

"""A provider client without network: it answers what a test scripted and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn, TypeVar

from tokenstore.core.model import Account, Asked, Attempt, Granted, Outcome, Provider, RevocationResult, TokenSet
from tokenstore.core.ports import CallbackIssuer, Identified
from tokenstore.core.secret import Secret

T = TypeVar("T")

Answer = Outcome | Exception | Callable[[], Outcome]
"""What a call brings: an outcome, an exception that is raised, or a function that makes the outcome."""


@dataclass(frozen=True, slots=True)
class RefreshCall:
    """One refresh that was asked for."""

    provider: Provider
    token: str
    asked: Asked
    granted: frozenset[str]
    account: Account | None = None


def granted(
    access: str = "access-new",
    *,
    seconds: int | None = 3600,
    refresh: str | None = None,
    scopes: frozenset[str] | None = None,
) -> Granted:
    """A good answer of a token endpoint."""
    return Granted(
        TokenSet(
            Secret(access),
            expires_in=None if seconds is None else timedelta(seconds=seconds),
            refresh_token=Secret(refresh) if refresh is not None else None,
            scopes=scopes,
        )
    )


def _unscripted(what: str) -> NoReturn:
    raise AssertionError(f"the provider was asked for {what} and nothing was scripted")


@dataclass(slots=True)
class FakeProviderClient:
    """ProviderClient in memory. `refreshes`, `exchanges`: answers in order; a call without one fails the test."""

    refreshes: list[Answer] = field(default_factory=list)
    exchanges: list[Answer] = field(default_factory=list)
    account: Account | Exception = field(default_factory=lambda: Account("https://idp.example", "a-1", "Ada"))
    claims: dict[str, object] = field(default_factory=dict)
    issuer: CallbackIssuer | Exception = field(default_factory=lambda: CallbackIssuer("https://idp.example", False))
    revocation: RevocationResult | Exception = RevocationResult.CONFIRMED
    start: str | Exception = "https://idp.example/authorize"
    end_session: str | Exception | None = None
    refresh_calls: list[RefreshCall] = field(default_factory=list)
    exchanged: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    identified: list[TokenSet] = field(default_factory=list)
    begun: list[Attempt] = field(default_factory=list)
    hinted: list[Mapping[str, str] | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:  # noqa: ARG002  (the port's)
        start = _or_raise(self.start)
        self.begun.append(attempt)
        self.hinted.append(hints)
        return f"{start}?state={attempt.state.reveal()}"

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:  # noqa: ARG002
        return _or_raise(self.issuer)

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:  # noqa: ARG002
        self.exchanged.append(code.reveal())
        return _answer(self.exchanges.pop(0) if self.exchanges else _unscripted("an exchange"))

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:  # noqa: ARG002
        self.identified.append(tokens)
        return Identified(_or_raise(self.account), self.claims)

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        with self.lock:
            self.refresh_calls.append(RefreshCall(provider, refresh_token.reveal(), asked, granted, account))
            answer = self.refreshes.pop(0) if self.refreshes else _unscripted("a refresh")
        return _answer(answer)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:  # noqa: ARG002
        self.revoked.append(token.reveal())
        return _or_raise(self.revocation)

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:  # noqa: ARG002
        return _or_raise(self.end_session)


def _or_raise(value: T | Exception) -> T:
    if isinstance(value, Exception):
        raise value
    return value


def _answer(answer: Answer) -> Outcome:
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer

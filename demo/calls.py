"""The call log of a provider: who asked for what and what came of it, never a secret."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

_SHOWN = frozenset(
    {
        "audience",
        "client_id",
        "code_challenge_method",
        "grant_type",
        "post_logout_redirect_uri",
        "prompt",
        "redirect_uri",
        "resource",
        "response_type",
        "scope",
        "token_type_hint",
    }
)


def fingerprint(secret: str) -> str:
    """A short name for a secret by which two uses of it can be told to be the same."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `outcome` is pending, dropped, an OAuth error code, or the HTTP status as text.

    `at` and `ended` are in seconds since the epoch; `parameters` keep their order, values that may be secret are left
    empty.
    """

    at: float
    endpoint: str
    grant_type: str | None
    parameters: tuple[tuple[str, str], ...]
    refresh_fingerprint: str | None
    outcome: str = "pending"
    ended: float | None = None


class CallLog:
    """Every call in the order of arrival. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[Call] = []

    def begin(self, at: float, endpoint: str, parameters: Iterable[tuple[str, str]]) -> int:
        """Note a call that arrived; returns the number by which `finish` knows it."""
        given = list(parameters)
        first = dict(reversed(given))
        token = first.get("refresh_token")
        call = Call(
            at=at,
            endpoint=endpoint,
            grant_type=first.get("grant_type"),
            parameters=tuple((name, value if name in _SHOWN else "") for name, value in given),
            refresh_fingerprint=None if token is None else fingerprint(token),
        )
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
            return len(self._calls) - 1

    def finish(self, number: int, outcome: str, ended: float) -> None:
        """Note what came of a call."""
        with self._changed:
            self._calls[number] = replace(self._calls[number], outcome=outcome, ended=ended)
            self._changed.notify_all()

    def all(self, endpoint: str | None = None, grant_type: str | None = None) -> list[Call]:
        """The calls so far, at one endpoint and of one grant type if given."""
        with self._changed:
            return [
                call
                for call in self._calls
                if endpoint in (None, call.endpoint) and grant_type in (None, call.grant_type)
            ]

    def count(self, endpoint: str | None = None, grant_type: str | None = None) -> int:
        """How many calls arrived."""
        return len(self.all(endpoint, grant_type))

    def wait_for(self, number: int, endpoint: str, grant_type: str | None = None, seconds: float = 10) -> None:
        """Wait until so many calls arrived. Raises TimeoutError if they do not come in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count(endpoint, grant_type) >= number, seconds):
                raise TimeoutError(f"{self.count(endpoint, grant_type)} of {number} calls came to {endpoint}")

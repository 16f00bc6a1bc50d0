"""Faults on demand: what a provider does wrong, where, and how often. Applying them is `demo.faults`' work."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ENDPOINTS = frozenset({"discovery", "jwks", "authorize", "token", "userinfo", "revoke", "introspect", "end_session"})


class Fault(StrEnum):
    """One way of going wrong; the comment says what the value is (True where nothing is said)."""

    LATENCY = "latency"  # seconds before the request is looked at
    LATENCY_AFTER = "latency_after"  # seconds between having done everything and answering
    HANG = "hang"  # no answer until the server stops
    DROP_BEFORE = "drop_before"  # the connection is closed and nothing was done
    DROP_AFTER = "drop_after"  # everything was done, then the connection is closed without an answer
    STATUS = "status"  # an HTTP status answered in place of everything else
    RETRY_AFTER = "retry_after"  # Retry-After of that answer
    REDIRECT = "redirect"  # the URL of a 307
    ERROR = "error"  # an OAuth error code: invalid_grant, invalid_client, …
    ERROR_WITH_200 = "error_with_200"  # errors come with HTTP 200
    HTML_BODY = "html_body"
    HUGE_BODY = "huge_body"  # number of bytes
    BODY = "body"  # what is answered with HTTP 200 as JSON in place of everything else
    DRIP = "drip"  # everything was done; seconds from one byte of the answer to the next
    TRUNCATED = "truncated"  # everything was done; half of the answer comes, then the connection is closed
    FORM_ENCODED = "form_encoded"
    NO_REFRESH_TOKEN = "no_refresh_token"  # none in the answer, and none rotated
    NO_EXPIRES_IN = "no_expires_in"
    TOKEN_TYPE = "token_type"  # the token_type to claim
    NARROW_SCOPE = "narrow_scope"  # the scope to grant instead
    EXPIRES_IN = "expires_in"  # lifetime of access tokens in seconds
    ID_TOKEN_SUBJECT = "id_token_for_other_subject"  # whom the ID token is about
    CALLBACK_ISS = "callback_iss"  # the iss of the authorization response
    NO_CALLBACK_ISS = "no_callback_iss"
    METADATA_ISSUER = "metadata_issuer"  # the issuer that the metadata claims


FaultValue = bool | int | float | str
_PLACES = {
    Fault.CALLBACK_ISS: "authorize",
    Fault.NO_CALLBACK_ISS: "authorize",
    Fault.METADATA_ISSUER: "discovery",
}


@dataclass(frozen=True, slots=True)
class Knob:
    """A fault that is on: `remaining` counts down to nothing, None means until cleared."""

    value: FaultValue
    remaining: int | None
    fail_at: frozenset[str]


class Knobs:
    """The faults that are on. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[Fault, Knob] = {}

    def set(
        self,
        fault: Fault,
        value: FaultValue = True,
        *,
        times: int | None = None,
        fail_at: Iterable[str] | None = None,
    ) -> None:
        """Turn a fault on, for so many requests or until cleared, at these endpoints.

        Without `fail_at` it strikes where it belongs: mostly the token endpoint. Raises ValueError for an
        unknown endpoint or a count below one.
        """
        places = frozenset(fail_at or (_PLACES.get(fault, "token"),))
        if not places <= ENDPOINTS:
            raise ValueError(f"no such endpoint: {', '.join(sorted(places - ENDPOINTS))}")
        if times is not None and times < 1:
            raise ValueError("a fault strikes at least once")
        with self._lock:
            self._on[fault] = Knob(value, times, places)

    def clear(self, fault: Fault | None = None) -> None:
        """Turn one fault off, or all of them."""
        with self._lock:
            if fault is None:
                self._on.clear()
            else:
                self._on.pop(fault, None)

    def take(self, fault: Fault, endpoint: str) -> FaultValue | None:
        """The value of a fault that strikes at this endpoint now, or None; uses up one of its times."""
        with self._lock:
            knob = self._on.get(fault)
            if knob is None or endpoint not in knob.fail_at:
                return None
            if knob.remaining == 1:
                del self._on[fault]
            elif knob.remaining is not None:
                self._on[fault] = Knob(knob.value, knob.remaining - 1, knob.fail_at)
            return knob.value

    def on(self) -> dict[Fault, Knob]:
        """What is on at this moment."""
        with self._lock:
            return dict(self._on)

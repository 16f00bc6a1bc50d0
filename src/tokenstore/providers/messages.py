"""What goes to a provider and what comes back, as plain values; and how a call can fail without an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SMALL: Final = 64 * 1024
"""Cap in bytes for token, revocation and userinfo answers."""
LARGE: Final = 256 * 1024
"""Cap in bytes for metadata and key sets."""


class TransportError(Exception):
    """A call without a usable answer. `reason` is one of our own words, fit for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(TransportError):
    """No byte of the request left: the provider surely did nothing.

    Reasons: `address-refused`, `dns`, `connect`, `tls`, `busy` (no free connection), `deadline`.
    """


class MayHaveBeenSent(TransportError):
    """Bytes left and no whole answer came: the provider may have acted.

    Reasons: `timeout`, `reset`, `protocol` (truncated or malformed), `too-large`, `encoding`.
    """


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `headers` and `body` may hold secrets and are not shown; `cap` is the largest answer in bytes.

    `deadline`: seconds for the whole call where it has to be shorter than the transport's own.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    cap: int = SMALL
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer: body decoded, and the headers that anybody reads."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None

"""What a provider's answer to a token request means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tokenstore.core.model.links import Account
from tokenstore.core.model.tokens import TokenSet
from tokenstore.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Granted:
    """200 with a usable token."""

    tokens: TokenSet


@dataclass(frozen=True, slots=True)
class Refused:
    """A terminal error code about this grant, e.g. `invalid_grant`: ambiguous until re-read and confirmed.

    `received` are the tokens of another account that came with ACCOUNT_CHANGED: not to be used, but to be revoked.
    `account`: which account that is, as far as it can be told.
    """

    code: str
    received: TokenSet | None = None
    account: Account | None = None


ACCOUNT_CHANGED = "account-changed"
"""Code of `Refused` where a refresh brought tokens of another account; they are not used."""


PAUSED = "paused"
"""Reason of `Unavailable` where nothing was sent, because the provider did not answer lately."""


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The provider refuses us or our request (`invalid_client`, other 4xx): the operator's business.

    `refresh_token` is set when it came with ISSUER_CHANGED: it must be saved.
    """

    code: str
    refresh_token: Secret | None = None


ISSUER_CHANGED = "issuer-changed"
"""Code of `Misconfigured` where a refresh brought tokens of the same subject by another issuer; they are not used."""


@dataclass(frozen=True, slots=True)
class ScopeRefused:
    """`invalid_scope` or `invalid_target`: what was asked for is not to be had; the link stays whole."""

    code: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A passing fault in which the request was surely not carried out (not sent, 429, 5xx).

    `reason` is `status-<number>` for an HTTP status, the provider's code where we know it, else a word of ours.
    `retry_after` is at most an hour, whatever the provider said.
    """

    reason: str
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """A fault after bytes were sent: the refresh token may have been rotated.

    `refresh_token` is set when a well-formed one could be read from an otherwise useless answer: it must be saved.
    """

    reason: str
    refresh_token: Secret | None = None


Outcome = Granted | Refused | Misconfigured | ScopeRefused | Unavailable | Unclear


class RevocationResult(StrEnum):
    """The receipt of an upstream revocation."""

    CONFIRMED = "confirmed"
    QUEUED = "queued"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"

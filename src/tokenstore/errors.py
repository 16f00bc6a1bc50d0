"""The closed family of errors that the store may show to a caller.

Owns the slugs, titles and public details. How an error becomes an HTTP answer (status, headers, body) is
`web.problems`' business; nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Report:
    """The allowed address that asked to be told how a linking at this provider ended."""

    return_url: str
    provider_id: str


class TokenStoreError(Exception):
    """Something the caller, the person or the operator has to know about.

    `detail` is public: it says what happened and what to do next, and never holds a secret or text from a
    provider. `debug` is for our log only. `report_to`: who asked to be told of it, if anybody.
    """

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, debug: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.debug = debug
        self.report_to: Report | None = None


class Unauthenticated(TokenStoreError):
    """No credentials came with the request (RFC 6750 section 3.1: the challenge carries no error code)."""

    slug = "unauthenticated"
    title = "Log in first"


class BadCredentials(TokenStoreError):
    """Credentials came and are not good (RFC 6750 section 3.1 `invalid_token`)."""

    slug = "invalid-token"
    title = "The credentials are not valid"


class PolicyDenied(TokenStoreError):
    """The caller is known and may not do this."""

    slug = "policy-denied"
    title = "Not allowed"


class ScopeNotGranted(TokenStoreError):
    """The scope, audience or resource asked for lies outside what the person granted.

    `linking_mends`: the person can grant it, since the operator has the store ask for it now.
    """

    slug = "scope-not-granted"
    title = "The link does not cover this scope"

    def __init__(self, detail: str, *, provider_id: str, linking_mends: bool = False, debug: str = "") -> None:
        super().__init__(detail, debug=debug)
        self.provider_id = provider_id
        self.linking_mends = linking_mends


class AccountMismatch(TokenStoreError):
    """The account at the provider is not one this user may link."""

    slug = "account-mismatch"
    title = "This is another account"


class CsrfFailed(TokenStoreError):
    """An unsafe request with a session cookie came without proof that our own page sent it."""

    slug = "csrf"
    title = "The request could not be confirmed"


class UnknownProvider(TokenStoreError):
    """No provider of that id is configured."""

    slug = "unknown-provider"
    title = "Unknown provider"


class NotFound(TokenStoreError):
    """No such thing, or none that the caller may know of."""

    slug = "not-found"
    title = "Not found"


class NotLinked(TokenStoreError):
    """The user has no link at that provider."""

    slug = "not-linked"
    title = "No account is linked"

    def __init__(self, detail: str, *, provider_id: str) -> None:
        super().__init__(detail)
        self.provider_id = provider_id


class ReauthorizationRequired(TokenStoreError):
    """The link exists and only the person can make it usable again."""

    slug = "reauthorization-required"
    title = "The account has to be linked again"

    def __init__(self, detail: str, *, provider_id: str, since: datetime | None = None, debug: str = "") -> None:
        super().__init__(detail, debug=debug)
        self.provider_id = provider_id
        self.since = since


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with a request: a JSON pointer or parameter name and what would be right."""

    pointer: str
    detail: str


class InvalidRequest(TokenStoreError):
    """The request itself is malformed."""

    slug = "invalid-request"
    title = "The request is not valid"

    def __init__(self, detail: str, *, errors: Sequence[FieldProblem] = (), debug: str = "") -> None:
        super().__init__(detail, debug=debug)
        self.errors = tuple(errors)


class ReturnUrlRefused(TokenStoreError):
    """A program asked to come back to an address that is not allowed."""

    slug = "return-url-refused"
    title = "The return address is not allowed"


class AttemptExpired(TokenStoreError):
    """The linking or login is over: unknown, used, expired, or begun elsewhere."""

    slug = "attempt-expired"
    title = "This attempt is no longer valid"


class LinkDenied(TokenStoreError):
    """The provider or the person there said no."""

    slug = "link-denied"
    title = "The provider did not link the account"


class LoginDenied(LinkDenied):
    """The same at the login provider, where nothing was to be linked."""

    title = "You are not logged in"


class NoOfflineAccess(TokenStoreError):
    """The provider gave no refresh token where one was expected."""

    slug = "no-offline-access"
    title = "The provider gave no lasting access"


class ProviderMisconfigured(TokenStoreError):
    """The provider refuses us, not the person: the operator has to act. Never breaks a link."""

    slug = "provider-misconfigured"
    title = "The provider refuses this service"


class NoLoginProvider(ProviderMisconfigured):
    """There is no login provider that could refuse anybody."""

    title = "Nobody can log in here yet"


class MethodNotAllowed(TokenStoreError):
    """The address exists and knows no such method."""

    slug = "method-not-allowed"
    title = "Method not allowed"


class RetryLater(TokenStoreError):
    """A passing condition; `retry_after` says when to ask again."""

    def __init__(self, detail: str, *, retry_after: timedelta = timedelta(seconds=5), debug: str = "") -> None:
        super().__init__(detail, debug=debug)
        self.retry_after = retry_after


class ProviderUnavailable(RetryLater):
    """The provider does not answer, or answers nonsense, at present."""

    slug = "provider-unavailable"
    title = "The provider is not available"


class ProviderBusy(ProviderUnavailable):
    """As many requests wait for the provider as may. Nothing was done: the same request can be sent again as it is."""

    title = "The provider answers slowly"


class RefreshInProgress(RetryLater):
    """A refresh is under way and took longer than a caller is kept waiting."""

    slug = "refresh-in-progress"
    title = "A fresh token is on its way"


class KeyUnavailable(RetryLater):
    """A stored secret cannot be opened: key missing or wrong, or the row is not what was sealed."""

    slug = "key-unavailable"
    title = "A stored secret cannot be opened"


class StorageUnavailable(RetryLater):
    """The database cannot be read or written at present."""

    slug = "storage-unavailable"
    title = "The storage is not available"


class ConfigError(Exception):
    """The settings cannot be used. Carries every problem found, each naming the setting and the mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the settings:\n{lines}")

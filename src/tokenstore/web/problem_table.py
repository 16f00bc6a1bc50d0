"""The one table of what may go wrong: which error is which HTTP status, and what to do about it.

The documentation page and the addresses in `type` are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore import errors


@dataclass(frozen=True, slots=True)
class Row:
    """An error, the status of its answers, when it happens, and what the reader can do.

    `legacy` is the status with LEGACY_STATUS_CODES where that is another.
    """

    error: type[errors.TokenStoreError]
    status: int
    when: str
    mend: str
    legacy: int | None = None

    @property
    def slug(self) -> str:
        """The stable name programs compare."""
        return self.error.slug


TABLE: tuple[Row, ...] = (
    Row(
        errors.InvalidRequest,
        400,
        "A parameter, the body or its type is not what the operation takes; `errors` names each place where known.",
        "Mend the request; asking again unchanged fails again.",
    ),
    Row(
        errors.ReturnUrlRefused,
        400,
        "A program asked to come back to an address that is neither ours nor one the operator allows.",
        "Use a page of the store, or have the operator add the origin to `RETURN_URL_ORIGINS`.",
    ),
    Row(
        errors.AttemptExpired,
        400,
        "The linking or login was already used, is older than ten minutes, or was begun in another browser.",
        "Begin anew.",
    ),
    Row(
        errors.LinkDenied,
        400,
        "The provider, or the person there, said no, or the provider did not tell which account it is.",
        "Begin anew and agree at the provider; if it happens again, tell the operator the request id.",
    ),
    Row(
        errors.NoOfflineAccess,
        400,
        "The provider gave no refresh token although lasting access was asked for.",
        "Link again; if it happens again, the operator has to look at the provider's settings.",
    ),
    Row(
        errors.Unauthenticated,
        401,
        "The request carries neither a session nor credentials of a program.",
        "Log in, or send `Authorization: Bearer` with an access token of the login provider.",
        legacy=403,
    ),
    Row(
        errors.BadCredentials,
        401,
        "The access token is expired, malformed, or not meant for this service; the API key or password is not good.",
        "Get a new access token from the login provider.",
        legacy=403,
    ),
    Row(
        errors.PolicyDenied,
        403,
        "The caller is known and may not do this.",
        "Ask the operator whether you should be allowed to.",
    ),
    Row(
        errors.ScopeNotGranted,
        403,
        "The scope, audience or resource asked for lies outside what the person granted.",
        "Send the person to `authorize_url` where it is given; else ask for less, or the operator for more.",
    ),
    Row(
        errors.AccountMismatch,
        403,
        "The account at the provider is not one this user may link.",
        "Log in at the provider with the right account and link again.",
    ),
    Row(
        errors.CsrfFailed,
        403,
        "A request with a session cookie came without proof that a page of the store sent it.",
        "Open the store at its public address and try again; programs use a bearer token.",
    ),
    Row(
        errors.NotFound,
        404,
        "There is no such thing, or none that the caller may know of.",
        "Check the address.",
    ),
    Row(
        errors.UnknownProvider,
        404,
        "No provider of that id is configured.",
        "`GET /api/v1.0/authorizations` lists the providers.",
    ),
    Row(
        errors.NotLinked,
        404,
        "The user has linked no account at that provider.",
        "Send the person to `authorize_url`.",
        legacy=400,
    ),
    Row(
        errors.MethodNotAllowed,
        405,
        "The address exists and does not know the method.",
        "Use a method named in the header `Allow`.",
    ),
    Row(
        errors.ReauthorizationRequired,
        409,
        "The link is there, but the provider no longer accepts it; `since` tells from when, in epoch seconds.",
        "Send the person to `authorize_url`; asking again does not help.",
        legacy=400,
    ),
    Row(
        errors.TokenStoreError,
        500,
        "Something the store did not expect.",
        "Tell the operator the request id in `instance`; the log has the rest.",
    ),
    Row(
        errors.ProviderMisconfigured,
        502,
        "The provider refuses the store itself. Links are not affected.",
        "Tell the operator.",
    ),
    Row(
        errors.ProviderUnavailable,
        503,
        "The provider does not answer, or answers nonsense, at present. Links are not affected.",
        "Ask again after `Retry-After` seconds.",
    ),
    Row(
        errors.RefreshInProgress,
        503,
        "A fresh token is being fetched and takes longer than a caller is kept waiting, or the provider refused the "
        "link once, which is checked before it is believed.",
        "Ask again after `Retry-After` seconds.",
    ),
    Row(
        errors.KeyUnavailable,
        503,
        "A stored secret cannot be opened at present.",
        "Ask again after `Retry-After` seconds; if it stays, the operator has to look at the keys.",
    ),
    Row(
        errors.StorageUnavailable,
        503,
        "The database cannot be read or written at present.",
        "Ask again after `Retry-After` seconds.",
    ),
)

BY_SLUG = {row.slug: row for row in TABLE}


def reference_page() -> str:
    """The documentation page about errors, in Markdown."""
    return _INTRODUCTION + "".join(_section(row) for row in TABLE)


_INTRODUCTION = """\
# Errors

Every error of the HTTP interface is `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):

| member | meaning |
|---|---|
| `type` | address ending in one of the names below, which programs compare; opened, it says what stands here |
| `title`, `status` | the name in words, and the HTTP status |
| `detail` | what happened this time and what to do next; never a secret, never text from a provider |
| `instance` | the request id, also in the header `X-Request-Id` and in the log |
| `authorize_url` | where a person mends it with a click; only where a click does |
| `errors` | what is wrong with the request, each with `pointer` and `detail`; only where known |
| `since` | when a link stopped working, in epoch seconds; only where known |

Answers with status 401 carry `WWW-Authenticate: Bearer`, those with 405 `Allow`, those with 503 `Retry-After` in
seconds. How often callers ask is not limited yet: the store itself never answers 429. Pages for people say the same in
words. With `LEGACY_STATUS_CODES` the answers under `/api/v1.0` and `/api/whoami` have the status of the reference
implementation where one is given below; all else about them stays.
"""


def _section(row: Row) -> str:
    status = f"{row.status} (legacy {row.legacy})" if row.legacy else str(row.status)
    return f"\n## `{row.slug}`\n\n{status} · {row.error.title}\n\n{row.when} {row.mend}\n"

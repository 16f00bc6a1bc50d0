"""Refresh tokens of the reference implementation become links: which rows do, and what is said of the others.

Owns the decisions that need only the row and the settings. What is already linked here is the store's to judge, how
the reference seals is the vault's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tokenstore.core.model import Account, AuditEvent, Identity, Provider, ProviderKind
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable


class Fate(StrEnum):
    """What becomes of one row of the reference."""

    IMPORTED = "imported"
    RENEWED = "renewed"
    ALREADY_IMPORTED = "already-imported"
    LINKED_SINCE = "linked-since"
    UNLINKED_SINCE = "unlinked-since"
    OLDER_DUPLICATE = "older-duplicate"
    EXPIRED = "expired"
    INCOMPLETE = "incomplete"
    UNKNOWN_PROVIDER = "unknown-provider"
    UNKNOWN_ACCOUNT = "unknown-account"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Opened:
    """A secret of the reference and when it was sealed: the last time that it linked or refreshed."""

    secret: Secret
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One row of the reference's table. `user` is the subject at the login provider; no `expires_at`: no end known."""

    id: int
    provider: str | None
    user: str | None
    token: bytes | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportedLink:
    """A refresh token with all that the reference knew of it, ready to be stored as a link."""

    user: Identity
    provider: Provider
    account: Account
    refresh_token: Secret
    sealed_at: datetime
    refresh_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Result:
    """The fate of one row. `because` adds words for the operator; neither holds a secret or a person's id."""

    row: int
    provider: str | None
    fate: Fate
    because: str = ""


class ReferenceRows(Protocol):
    """The reference's table, read only."""

    def groups(self) -> Sequence[Sequence[int]]:
        """The ids of all rows; those of one user at one provider stand together."""

    def read(self, ids: Sequence[int]) -> Sequence[ReferenceRow]:
        """These rows, as far as they are still there."""


class LinkImports(Protocol):
    """Where imported links go."""

    def judge(self, new: ImportedLink) -> Fate:
        """What `put` would do now; nothing is changed."""

    def put(self, new: ImportedLink, event: AuditEvent) -> Fate:
        """Store the link with its audit row, unless what is here is newer; once, however often it is called."""


class ReferenceImporter:
    """Goes through the reference's rows. One that was stopped is run again: nothing is imported twice.

    login_issuer: issuer of the login provider, whose subjects the reference's user ids are. providers: by the
    reference's name of each. open_token: raises KeyUnavailable with `debug` for operators. now: the present.
    """

    def __init__(
        self,
        login_issuer: str,
        providers: Mapping[str, Provider],
        open_token: Callable[[bytes], Opened],
        links: LinkImports,
        now: Callable[[], datetime],
    ) -> None:
        self._login_issuer = login_issuer
        self._providers = providers
        self._open_token = open_token
        self._links = links
        self._now = now

    def run(self, rows: ReferenceRows, *, dry_run: bool) -> Iterator[Result]:
        """The fate of each row, told when it is settled. `dry_run`: nothing is stored."""
        for ids in rows.groups():
            yield from self._group(rows.read(ids), dry_run)

    def _group(self, rows: Sequence[ReferenceRow], dry_run: bool) -> Iterator[Result]:
        candidates: list[tuple[ReferenceRow, ImportedLink]] = []
        for row in rows:
            found = self._candidate(row)
            if isinstance(found, Result):
                yield found
            else:
                candidates.append((row, found))
        candidates.sort(key=lambda one: (one[1].sealed_at, one[0].id))
        for row, _ in candidates[:-1]:
            yield Result(row.id, row.provider, Fate.OLDER_DUPLICATE, "another row of this user is newer")
        for row, new in candidates[-1:]:
            yield Result(row.id, row.provider, self._links.judge(new) if dry_run else self._put(new))

    def _candidate(self, row: ReferenceRow) -> ImportedLink | Result:
        """The link that the row is good for, or why it is good for none."""
        if not (row.provider and row.user and row.token):
            return Result(row.id, row.provider, Fate.INCOMPLETE, "it has no provider, no user or no token")
        if not is_subject(row.user):
            return Result(row.id, row.provider, Fate.INCOMPLETE, "its user is no subject that a login could have")
        provider = self._providers.get(row.provider)
        if provider is None:
            return Result(row.id, row.provider, Fate.UNKNOWN_PROVIDER, "TOKEN_PROVIDERS does not name it")
        if not names_accounts_alike(provider):
            return Result(row.id, row.provider, Fate.UNKNOWN_ACCOUNT, "its accounts are not known by OpenID's sub here")
        try:
            opened = self._open_token(row.token)
        except KeyUnavailable as error:
            return Result(row.id, row.provider, Fate.UNREADABLE, error.debug)
        if not opened.secret:
            return Result(row.id, row.provider, Fate.INCOMPLETE, "its token is empty")
        if row.expires_at is not None and row.expires_at <= self._now():
            return Result(row.id, row.provider, Fate.EXPIRED, f"since {row.expires_at:%Y-%m-%d}")
        return ImportedLink(
            user=Identity(self._login_issuer, row.user),
            provider=provider,
            account=Account(provider.effective_issuer, row.user),
            refresh_token=opened.secret,
            sealed_at=opened.sealed_at,
            refresh_expires_at=row.expires_at,
        )

    def _put(self, new: ImportedLink) -> Fate:
        return self._links.put(new, AuditEvent("link.imported", "success", None, new.user, new.provider.id))


def names_accounts_alike(provider: Provider) -> bool:
    """Whether an account here has the name that the reference knew it by.

    The reference spoke OpenID Connect alone and linked no account whose `sub` was not the user's own, so its user id
    is the account's subject too.
    """
    return provider.kind is ProviderKind.OIDC and provider.subject_field == "sub"


def is_subject(text: str) -> bool:
    """Whether a text can be the subject of a user: 1 to 255 printable characters (OIDC Core section 2)."""
    return 0 < len(text) <= 255 and text.isprintable() and text == text.strip()

"""Which rows of the reference become links, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from tokenstore.core.importing import Fate, ImportedLink, Opened, ReferenceImporter, ReferenceRow, Result
from tokenstore.core.model import Account, AuditEvent, Identity, Provider, ProviderId, ProviderKind
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOGIN = "https://login.example"
IDP1 = Provider(
    ProviderId("idp1"), ProviderKind.OIDC, "client", "https://store.example/back", issuer="https://idp1.example"
)


@dataclass(slots=True)
class Rows:
    """The reference's table, in a list; rows of one group stand in one list."""

    grouped: list[list[ReferenceRow]]

    def groups(self) -> Sequence[Sequence[int]]:
        return [[row.id for row in rows] for rows in self.grouped]

    def read(self, ids: Sequence[int]) -> Sequence[ReferenceRow]:
        return [row for rows in self.grouped for row in rows if row.id in ids]


@dataclass(slots=True)
class Links:
    """Takes every link."""

    kept: list[tuple[ImportedLink, AuditEvent]] = field(default_factory=list)

    def judge(self, new: ImportedLink) -> Fate:
        return Fate.ALREADY_IMPORTED if new in [link for link, _ in self.kept] else Fate.IMPORTED

    def put(self, new: ImportedLink, event: AuditEvent) -> Fate:
        self.kept.append((new, event))
        return Fate.IMPORTED


def opened(token: bytes) -> Opened:
    """Tokens of these tests are the secret, a bar, and the day they were sealed; some do not open."""
    secret, _, day = token.decode().partition("|")
    if secret == "spoilt":
        raise KeyUnavailable("not now", debug="no key opens it")
    return Opened(Secret(secret), NOW - timedelta(days=100) + timedelta(days=int(day or 0)))


def row(number: int = 1, token: bytes | None = b"one|1", **changes: object) -> ReferenceRow:
    made = ReferenceRow(number, "idp1", "ann", token, None)
    return replace(made, **changes)  # type: ignore[arg-type]  # a test names what it changes


def run(
    *groups: list[ReferenceRow], provider: Provider = IDP1, name: str = "idp1", dry_run: bool = False
) -> tuple[list[Result], Links]:
    links = Links()
    importer = ReferenceImporter(LOGIN, {name: provider}, opened, links, lambda: NOW)
    return list(importer.run(Rows(list(groups)), dry_run=dry_run)), links


def test_row_becomes_a_link_of_the_user_at_login_with_the_same_subject_at_the_provider() -> None:
    results, links = run([row(expires_at=NOW + timedelta(days=1))])

    assert results == [Result(1, "idp1", Fate.IMPORTED)]
    [(link, event)] = links.kept
    assert link.user == Identity(LOGIN, "ann")
    assert link.account == Account("https://idp1.example", "ann")
    assert link.refresh_token == Secret("one")
    assert link.refresh_expires_at == NOW + timedelta(days=1)
    assert (event.action, event.user, event.provider_id) == ("link.imported", link.user, "idp1")


def test_newest_of_duplicates_is_the_one_sealed_last_whatever_its_id() -> None:
    results, links = run([row(1, b"newest|9"), row(2, b"old|1"), row(3, b"older|0")])

    assert sorted((one.row, one.fate) for one in results) == [
        (1, Fate.IMPORTED),
        (2, Fate.OLDER_DUPLICATE),
        (3, Fate.OLDER_DUPLICATE),
    ]
    assert [link.refresh_token for link, _ in links.kept] == [Secret("newest")]


def test_of_duplicates_sealed_at_once_the_later_row_counts() -> None:
    _, links = run([row(7, b"seven|1"), row(3, b"three|1")])

    assert [link.refresh_token for link, _ in links.kept] == [Secret("seven")]


def test_duplicate_that_cannot_be_used_does_not_hide_one_that_can() -> None:
    results, links = run([row(1, b"good|1"), row(2, b"spoilt|9"), row(3, b"over|8", expires_at=NOW)])

    assert [link.refresh_token for link, _ in links.kept] == [Secret("good")]
    assert {one.row: one.fate for one in results} == {2: Fate.UNREADABLE, 3: Fate.EXPIRED, 1: Fate.IMPORTED}


@pytest.mark.parametrize(
    ("bad", "fate"),
    [
        (row(provider=None), Fate.INCOMPLETE),
        (row(user=""), Fate.INCOMPLETE),
        (row(token=None), Fate.INCOMPLETE),
        (row(token=b"|1"), Fate.INCOMPLETE),
        (row(provider="gone"), Fate.UNKNOWN_PROVIDER),
        (row(token=b"spoilt"), Fate.UNREADABLE),
        (row(expires_at=NOW), Fate.EXPIRED),
    ],
)
def test_row_that_is_good_for_no_link_is_reported_with_a_reason(bad: ReferenceRow, fate: Fate) -> None:
    [result], links = run([bad])

    assert (result.fate, bool(result.because), links.kept) == (fate, True, [])


@pytest.mark.parametrize("changes", [{"kind": ProviderKind.OAUTH2}, {"subject_field": "oid"}])
def test_row_of_a_provider_that_names_accounts_otherwise_is_reported(changes: dict[str, object]) -> None:
    [result], links = run([row()], provider=replace(IDP1, **changes))  # type: ignore[arg-type]

    assert (result.fate, links.kept) == (Fate.UNKNOWN_ACCOUNT, [])


def test_provider_is_found_by_the_name_that_the_reference_used() -> None:
    _, links = run([row(provider="IDP-One")], name="IDP-One")

    assert [link.provider.id for link, _ in links.kept] == ["idp1"]


def test_dry_run_says_the_same_and_stores_nothing() -> None:
    groups = [row(1, b"new|2"), row(2, b"old|1")], [row(3, user="bob", token=b"spoilt")]

    told, links = run(*groups, dry_run=True)

    assert told == run(*groups)[0]
    assert links.kept == []


def test_no_result_shows_a_secret_or_a_person() -> None:
    told, _ = run([row(1, b"hush|1"), row(2, b"hush|2"), row(3, b"spoilt"), row(4, expires_at=NOW)])

    assert "hush" not in str(told)
    assert "ann" not in str(told)


@pytest.mark.parametrize("user", ["ann\0x", " bob\n", "x" * 256])
def test_a_user_that_no_login_could_have_is_told_and_passed_over(user: str) -> None:
    results, _ = run([row(1, user=user)], [row(2)])
    assert [result.fate for result in results] == [Fate.INCOMPLETE, Fate.IMPORTED]

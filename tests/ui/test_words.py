"""How the pages say things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from tokenstore.core.model import (
    Account,
    DisplayMetadata,
    Endpoints,
    Link,
    LinkId,
    LinkState,
    Provider,
    ProviderId,
    ProviderKind,
    RevocationResult,
    UserId,
)
from tokenstore.core.overview import ScopeStatus, Status
from tokenstore.core.unlinking import Receipt
from tokenstore.ui import words


def a_provider(name: str | None = "Forge", **more: str) -> Provider:
    return Provider(
        id=ProviderId("forge"),
        kind=ProviderKind.OAUTH2,
        client_id="store",
        redirect_uri="https://store.example.org/redirect_uri",
        endpoints=Endpoints(authorize=more.get("authorize")),
        issuer=more.get("issuer"),
        metadata=DisplayMetadata(name=name),
    )


def a_link() -> Link:
    return Link(
        id=LinkId(uuid4()),
        user_id=UserId(uuid4()),
        provider_id=ProviderId("forge"),
        client_id="store",
        account=Account("https://forge.example", "1234", name="Ada"),
        is_default=True,
        label=None,
        state=LinkState.REVOKED,
        version=1,
        has_refresh_token=False,
        scopes_requested=frozenset(),
        scopes_granted=frozenset(),
        linked_at=datetime(2026, 11, 3, tzinfo=UTC),
    )


def test_an_instant_is_shown_in_utc_to_people_and_machines() -> None:
    brisbane = timezone(timedelta(hours=10))

    shown = words.instant(datetime(2026, 11, 3, 5, 7, 9, tzinfo=brisbane))

    assert shown == '<time datetime="2026-11-02T19:07:09Z">2 Nov 2026, 19:07 UTC</time>'


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(minutes=59, seconds=50), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=2, hours=23), "2 days"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=-3), "0 seconds"),
    ],
)
def test_a_duration_is_its_largest_whole_unit(span: timedelta, text: str) -> None:
    assert words.duration(span) == text


def test_a_provider_without_a_name_is_called_by_its_id() -> None:
    assert words.provider_name(a_provider(name=None)) == "forge"


def test_the_host_is_that_of_the_address_where_people_agree() -> None:
    provider = a_provider(authorize="https://login.forge.example:8443/authorize", issuer="https://forge.example")

    assert words.provider_host(provider) == "login.forge.example:8443"


def test_an_account_that_tells_nothing_is_called_by_its_subject() -> None:
    assert words.account_name(Account("https://forge.example", "1234")) == "1234"


@pytest.mark.parametrize("upstream", RevocationResult)
def test_every_receipt_names_the_account_and_the_provider(upstream: RevocationResult) -> None:
    text = words.receipt_text(a_provider(), Receipt(a_link(), upstream))

    assert text.startswith("Ada is unlinked. ")
    assert "Forge" in text


@pytest.mark.parametrize("status", Status)
def test_every_state_is_said_in_words(status: Status) -> None:
    assert words.status_words(status).label


@pytest.mark.parametrize("status", [ScopeStatus.NARROWER, ScopeStatus.OUTDATED])
def test_every_trouble_with_scopes_is_said_in_words(status: ScopeStatus) -> None:
    assert words.scope_status_text(status)

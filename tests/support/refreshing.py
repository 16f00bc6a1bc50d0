"""Refreshes in the world of the core services: what one brings, or ends with, and stores that do not save it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from support.core_world import World
from support.fakes import FakeLinkStore
from tokenstore.core.model import AccessToken, Asked, AuditEvent, Lease, Link, Provider, TokenSet
from tokenstore.core.ports import Failure
from tokenstore.core.secret import Secret
from tokenstore.errors import StorageUnavailable, TokenStoreError


class FailingLinks(FakeLinkStore):
    """A store whose writes of received tokens fail while `failures` is above zero."""

    failures: float = 0

    def save_refreshed(self, *about: Any) -> AccessToken | None:
        self._maybe_fail()
        return super().save_refreshed(*about)

    def save_rotation(
        self, lease: Lease, provider: Provider, refresh_token: Secret, elapsed: timedelta, failure: Failure
    ) -> bool:
        self._maybe_fail()
        return super().save_rotation(lease, provider, refresh_token, elapsed, failure)

    def settle_superseded(self, held: Link, provider: Provider, tokens: TokenSet) -> UUID | None:
        self._maybe_fail()
        return super().settle_superseded(held, provider, tokens)

    def _maybe_fail(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StorageUnavailable("The database cannot be used at present.")


def failing(world: World, times: float) -> FailingLinks:
    """The next `times` writes of received tokens fail."""
    world.links = links = FailingLinks(world.stores.database)
    links.failures = times
    return links


def bring(world: World, link: Link, asked: Asked = Asked()) -> AccessToken:
    """A refresh of the link."""
    return world.refresher.bring(world.errand(link, asked))


def failure(world: World, link: Link, asked: Asked = Asked()) -> TokenStoreError:
    """The error that a refresh of the link ends with."""
    with pytest.raises(TokenStoreError) as caught:
        bring(world, link, asked)
    return caught.value


def spent(world: World) -> list[str]:
    """The refresh tokens that were sent, in order."""
    return [call.token for call in world.client.refresh_calls]


def others_save(world: World, link: Link, access: str = "theirs", refresh: str | None = "refresh-theirs") -> None:
    """Another process refreshes the link, as if its lease had been the only one."""
    row = world.row(link)
    lease = Lease(row.link, "node-2", row.link.version, Secret("refresh-1"), None)
    tokens = TokenSet(Secret(access), timedelta(hours=1), Secret(refresh) if refresh else None)
    saved = world.stores.links.save_refreshed(
        lease, world.provider, tokens, Asked(), timedelta(), AuditEvent("token.refresh", "success")
    )
    assert saved is not None

"""Answers that lie in a spool on a disk, and what may have become of their files."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from support.keys import memory_vault
from tokenstore.core.model import Account, Asked, Link, LinkId, LinkState, ProviderId, TokenSet, UserId
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled
from tokenstore.store.spool import FileSpool

VAULT = memory_vault()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINK = Link(
    id=LinkId(UUID(int=1)),
    user_id=UserId(UUID(int=2)),
    provider_id=ProviderId("idp1"),
    client_id="client-1",
    account=Account("https://idp.example", "a-1"),
    is_default=True,
    label=None,
    state=LinkState.ACTIVE,
    version=7,
    has_refresh_token=True,
    scopes_requested=frozenset(),
    scopes_granted=frozenset(),
    linked_at=NOON,
)
OTHER = replace(LINK, id=LinkId(UUID(int=9)))
TOKENS = TokenSet(Secret("access-2"), timedelta(hours=1), Secret("refresh-2"))


def answer(of: Link = LINK, tokens: TokenSet = TOKENS) -> Spooled:
    return Spooled(of.id, of.version, Asked(), tokens, NOON)


def kept(spool: FileSpool, folder: Path, of: Link = LINK) -> Path:
    """The file in which an answer of this link is kept."""
    spool.reserve(of).keep(answer(of))
    (path,) = folder.glob(f"{of.id.hex}.*")
    return path


def grow_old(path: Path, by: timedelta) -> None:
    """Let a file be older than this."""
    then = (datetime.now(UTC) - by - timedelta(seconds=5)).timestamp()
    os.utime(path, (then, then))

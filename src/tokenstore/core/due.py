"""When the keeper looks after a link, and whether it refreshes it then. Pure.

A link in use gets its next access token before the present one ends. One that nobody uses is left alone, but for its
refresh token, which providers let die unused. How the keeper finds the links is in `store/due.py`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from tokenstore.core.model import Identity, Lease, Link, LinkId, LinkState, Provider

SHARE = 0.8
"""The share of a refresh token's life after which it is spent although nobody asks."""

SOONEST = timedelta(seconds=1)
"""No link is looked after again sooner than this."""


@dataclass(frozen=True, slots=True)
class Due:
    """A link that is to be looked after, leased, and whose it is, at the database's `now`.

    `access_issued_at` None: there is no plain access token; `access_expires_at` None: it has no known end, either.
    """

    lease: Lease
    owner: Identity
    access_issued_at: datetime | None
    access_expires_at: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Later:
    """A link is not refreshed now. `due_in`: when to look at it again; None: not before somebody asks for a token."""

    due_in: timedelta | None


def margin(provider: Provider, link_id: LinkId, lifetime: timedelta | None) -> timedelta:
    """How long before its end an access token is replaced: max(60 s, 10 %) ± 10 % fixed per link.

    At most a quarter of the lifetime. Nothing where a refresh ends earlier access tokens, or where the end is unknown.
    """
    if lifetime is None or provider.refresh_ends_access:
        return timedelta()
    jitter = 0.9 + 0.2 * (zlib.crc32(link_id.bytes) / 2**32)
    return min(max(timedelta(seconds=60), lifetime / 10) * jitter, lifetime / 4)


def next_due(
    provider: Provider, link_id: LinkId, lifetime: timedelta | None, refresh_lifetime: timedelta | None
) -> timedelta | None:
    """In how long to look after a link whose refresh token was just given or used; None: not before it is asked for.

    Both lifetimes count from now; None is unknown.
    """
    if not provider.refreshes:
        return None
    ends = [end * SHARE for end in (provider.refresh_idle, refresh_lifetime) if end is not None]
    if lifetime is not None and not provider.refresh_ends_access:
        ends.append(lifetime - margin(provider, link_id, lifetime))
    return max(min(ends), SOONEST) if ends else None


def decide(provider: Provider, due: Due, unused: timedelta) -> Later | None:
    """What to do about a due link; None: refresh it now.

    `unused`: how long after its last use a link counts as in use. A suspect link is always tried, and one whose
    refresh token would soon end.
    """
    link = due.lease.link
    if link.state is LinkState.SUSPECT:
        return None
    waits = [at - due.now for at in _before_it_dies(provider, link)]
    if _in_use(due, unused) and not provider.refresh_ends_access:
        waits += _until_margin(provider, due)
    soonest = min(waits, default=None)
    if soonest is None:
        return Later(None)
    return Later(max(soonest, SOONEST)) if soonest > timedelta() else None


def _before_it_dies(provider: Provider, link: Link) -> list[datetime]:
    """When the refresh token is to be spent so that it neither ends nor is forgotten."""
    begun = link.last_refresh_at or link.linked_at
    lives = [provider.refresh_idle, link.refresh_expires_at and link.refresh_expires_at - begun]
    return [begun + life * SHARE for life in lives if life]


def _in_use(due: Due, unused: timedelta) -> bool:
    link = due.lease.link
    # A link that was imported has no token and was used by nobody here: its first token is fetched when asked for.
    used = link.last_used_at or (link.linked_at if due.access_issued_at else None)
    return used is not None and due.now - used < unused


def _until_margin(provider: Provider, due: Due) -> list[timedelta]:
    issued, expires = due.access_issued_at, due.access_expires_at
    if issued is None:
        return [timedelta()]
    if expires is None:
        return []
    return [expires - margin(provider, due.lease.link.id, expires - issued) - due.now]

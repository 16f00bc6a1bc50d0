"""Asking a store for the tokens of links, and what must be true of a link that is alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from chaos.trials import Checks
from support.cluster import Cluster
from support.far_provider import FarProvider
from support.herd import Reply
from support.seeding import Seeded
from support.waiting import eventually

DOCUMENTED = {(200, None), (503, "refresh-in-progress")}
"""What a herd for a link that is alive may be told."""

WAITING = frozenset({"refresh-in-progress", "provider-unavailable"})
"""Problems after which the caller comes again."""


PAUSE = 0.1
"""Seconds from an answer to the next question of one who is patient."""


class Asking:
    """One request for a token, under way in a thread."""

    def __init__(self, store: Cluster, link: Seeded, *, node: int = 0) -> None:
        self._replies: list[Reply] = []
        self._thread = threading.Thread(target=lambda: self._replies.append(store.ask(link, node=node, patience=60)))
        self._thread.start()

    def reply(self) -> Reply:
        """What came of it."""
        self._thread.join()
        return self._replies[0]


def token_of(reply: Reply) -> str:
    """The access token in an answer."""
    return str(reply.json()["access_token"])


def told(reply: Reply) -> tuple[int, str | None]:
    """Status and problem of an answer."""
    return reply.status, reply.slug


def patiently(
    checks: Checks,
    store: Cluster,
    link: Seeded,
    *,
    waiting: Collection[str] = WAITING,
    node: int = 0,
    seconds: float = 20,
) -> Reply:
    """The first answer other than those in `waiting`, or the last one after so many seconds.

    Time passes for the link in between as the answers ask for, but not while somebody refreshes it.
    """
    deadline = time.monotonic() + seconds
    reply = store.ask(link, node=node)
    while reply.slug in waiting and time.monotonic() < deadline:
        checks.that(reply.status != 503 or "retry-after" in reply.headers, "a 503 without Retry-After")
        if not store.seed.is_leased(link):
            store.seed.pass_for([link], timedelta(seconds=int(reply.headers.get("retry-after", "10"))))
        time.sleep(PAUSE)
        reply = store.ask(link, node=node)
    return reply


def landed(store: Cluster, links: Sequence[Seeded]) -> None:
    """Return when nobody refreshes these links any more."""
    eventually(lambda: not any(map(store.seed.is_leased, links)), "the refreshes to end", seconds=40)


def alive(checks: Checks, store: Cluster, idp: FarProvider, links: Sequence[Seeded]) -> None:
    """Note every link that is not as it was before: active, with a refresh token that the provider takes."""
    for subject, grants in idp.families([link.subject for link in links]).items():
        checks.that(_lives(idp, grants), f"grants of {subject[:6]}: {grants}")
    checks.same("states", store.seed.states(links), {"active": len(links)})


def _lives(idp: FarProvider, grants: Sequence[Mapping[str, Any]]) -> bool:
    if len(grants) != 1 or grants[0]["revoked"] or grants[0]["reuses"]:
        return False
    # Elsewhere used tokens live on beside the newest one.
    return bool(grants[0]["live"] >= 1 if idp.rotation in {"keep-old", "grace"} else grants[0]["live"] == 1)

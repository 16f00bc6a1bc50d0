"""The spool, as a port: durable room on this machine for what providers answer, until the database has it.

A refresh reserves its place before anything is sent, writes the answer there before anything else happens, and gives
the place back when the database has it. What a process left behind when it died is found by any process of the same
machine (refresh protocol, steps 5 and 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tokenstore.core.model import Account, Asked, Identity, Link, LinkId, ProviderId, TokenSet


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose tokens an answer has, and of which client: enough to revoke them when the link's row is gone."""

    provider_id: ProviderId
    client_id: str
    owner: Identity
    account: Account


@dataclass(frozen=True, slots=True)
class Spooled:
    """A provider's answer to the refresh of a link at `version`, not yet known to be in the database.

    `sent_at`: when the request was sent, by this machine's clock. `rotation_only`: the answer was useless but for its
    refresh token. `whose`: None if whoever spooled it did not say.
    """

    link_id: LinkId
    version: int
    asked: Asked
    tokens: TokenSet
    sent_at: datetime
    rotation_only: bool = False
    whose: Whose | None = None


class SpoolPlace(Protocol):
    """Room for one answer."""

    def keep(self, spooled: Spooled) -> None:
        """Write the answer; it is on the disk when this returns. Raises StorageUnavailable, KeyUnavailable."""

    def forget(self) -> None:
        """The database has the answer: free the room. Never raises, and does no harm twice."""

    def close(self) -> None:
        """Free the room unless an answer is kept there. Never raises."""


class LeftBehind(Protocol):
    """An answer found in the spool. Finding it twice does no harm: the fence keeps the first who saves it."""

    @property
    def link_id(self) -> LinkId:
        """Of which link."""

    def read(self) -> Spooled | None:
        """What was kept. None: another has taken it meanwhile, or it is not whole: then it is put aside, unless it
        may be just being written.

        Raises StorageUnavailable, KeyUnavailable.
        """

    def forget(self) -> None:
        """As for a place; where nothing can be removed, it is not found again by this spool all the same."""


@dataclass(frozen=True, slots=True)
class SpoolDepth:
    """How many answers wait for the database on this machine, and how long the oldest has.

    `unreadable`: how many more were put aside, as they are not whole.
    """

    entries: int
    oldest: timedelta
    unreadable: int = 0


class Spool(Protocol):
    """The spool of this machine. Answers are sealed."""

    def name(self) -> str:
        """What this machine is called in leases: processes that share the spool share the name.

        Raises StorageUnavailable.
        """

    def ready(self) -> None:
        """Raise StorageUnavailable, with the reason for the log, where nothing can be reserved. Cheap.

        A disk that is full or fails may show only when room is reserved.
        """

    def reserve(self, link: Link) -> SpoolPlace:
        """Take room that is there even if the disk fills up; an answer could be sealed, too.

        Raises StorageUnavailable, KeyUnavailable.
        """

    def left_behind(self, link_id: LinkId | None = None) -> Sequence[LeftBehind]:
        """The answers that wait: of this link, or of all. Raises StorageUnavailable."""

    def depth(self) -> SpoolDepth:
        """What waits. Raises StorageUnavailable."""

    def tidy(self) -> None:
        """Remove room that was reserved by a process that is gone and never written to. Raises StorageUnavailable."""

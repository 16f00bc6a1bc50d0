"""A provider's no to a link, and what becomes of the link: pure values and the rule of the quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tokenstore.core.model import AuditEvent, Doubt, LinkState

SUSPECTED = AuditEvent("link.suspect", "failure")
BROKEN = AuditEvent("link.broken", "failure")
LOST = AuditEvent("link.lost", "failure")
QUARANTINED = AuditEvent("provider.quarantined", "failure")

PROBE_EVERY = timedelta(minutes=1)
"""How often a link is tried in quarantine."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A terminal error about one link. `retry_in`: when it is asked again; `final`: it need not be asked again.

    `doubt`: why the link's token may have been spent before, if it may.
    """

    code: str
    retry_in: timedelta
    final: bool = False
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class MassRefusal:
    """When refusals tell more of the provider than of the links: more than this share of at least so many refreshes.

    Or so many in a row: a provider that gave a thousand tokens a minute ago and now gives none would be believed until
    its refusals were their share of all.

    Of the refused ones, people are counted, and each by the first refusal of a link alone. So neither does a link that
    ends count twice, nor can anybody who lets links end again and again have a provider disbelieved for all others.
    """

    window: timedelta = timedelta(minutes=5)
    refreshes: int = 20
    share_percent: int = 20

    def most_granted(self, refused: int) -> int | None:
        """With so many people refused in the window, up to how many grants make it a mass refusal; None: none do."""
        if refused == 0:
            return None
        # The most for which the refused are still more than their share of all.
        return (refused * 100 - 1) // self.share_percent - refused

    def applies(self, refused: int, granted: int) -> bool:
        """Whether these refreshes of one window are a mass refusal."""
        most = self.most_granted(refused)
        return most is not None and granted <= most and refused + granted >= self.refreshes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a refused link, and when it is tried again. `quarantined`: its provider, by this refusal."""

    state: LinkState
    retry_in: timedelta
    quarantined: bool

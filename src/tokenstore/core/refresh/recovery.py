"""Answers that a dead process left in the spool are put into the database (refresh protocol, step 7)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tokenstore.core.model import Caller, CallerKind, LinkId
from tokenstore.core.ports import LinkStore
from tokenstore.core.refresh.errand import Errand
from tokenstore.core.refresh.keeping import Keeping
from tokenstore.core.registry import Registry
from tokenstore.core.spool import LeftBehind, Spool, Spooled
from tokenstore.errors import StorageUnavailable, TokenStoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the answers that waited: how many the database has now, and how many have to wait on."""

    saved: int
    left: int


class Recovery:
    """Replays the spool of this machine. Two at once do no harm: the fence keeps the first who saves an answer."""

    def __init__(self, registry: Registry, links: LinkStore, spool: Spool, keeping: Keeping) -> None:
        self._registry = registry
        self._links = links
        self._spool = spool
        self._keeping = keeping

    def replay_link(self, link_id: LinkId) -> int:
        """Replay what waits for this link; how many answers.

        Raises StorageUnavailable, KeyUnavailable, and whatever else the database says of an answer, which stays.
        """
        replayed = 0
        for found in self._spool.left_behind(link_id):
            spooled = found.read()
            replayed += spooled is not None and self._replay(found, spooled)
        return replayed

    def replay_all(self) -> Replayed:
        """Replay all that waits. An answer with which that fails stays, and holds up no other.

        Raises StorageUnavailable when the database takes nothing, or the spool cannot be looked into.
        """
        outcomes = [self._attempt(found) for found in self._spool.left_behind()]
        return Replayed(outcomes.count(True), outcomes.count(False))

    def tidy(self) -> None:
        """Remove what dead processes reserved in the spool and never used. Raises StorageUnavailable."""
        self._spool.tidy()

    def _attempt(self, found: LeftBehind) -> bool | None:
        """Whether the database has what was found; None: there was nothing. Raises StorageUnavailable."""
        about = {"link": str(found.link_id)}
        try:
            spooled = found.read()
        except TokenStoreError as error:
            log.warning("an answer in the spool cannot be opened yet", extra={**about, "because": error.slug})
            return False
        except Exception:
            log.exception("an answer in the spool is not understood", extra=about)
            return False
        try:
            return None if spooled is None else self._replay(found, spooled)
        except StorageUnavailable:
            raise
        except TokenStoreError as error:
            log.warning("an answer in the spool cannot be saved yet", extra={**about, "because": error.slug})
        except Exception:
            log.exception("an answer in the spool cannot be saved", extra=about)
        return False

    def _replay(self, found: LeftBehind, spooled: Spooled) -> bool:
        """Whether the database has what was found; only then it is forgotten."""
        base, whose = self._links.base(found.link_id), spooled.whose
        about = {"link": str(found.link_id)}
        if base is not None:
            provider = self._registry.find(base.link.provider_id)
        elif whose is not None:
            provider = self._registry.find(whose.provider_id)
        else:
            log.error("an answer in the spool is of a link that is gone, and does not say whose", extra=about)
            return False
        if provider is None:
            log.warning("the spool waits for a provider that is not configured", extra=about)
            return False
        if base is not None:
            caller = Caller(CallerKind.KEEPER, base.owner)
            self._keeping.replay(Errand(provider, caller, base.link, spooled.asked, None), base, spooled)
            log.warning("an answer left in the spool was saved", extra=about)
        elif whose is not None:
            self._keeping.replay_unowned(provider, spooled, whose)
            log.warning("an answer left in the spool is of a link that is gone, and is revoked", extra=about)
        found.forget()
        return True

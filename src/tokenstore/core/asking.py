"""When another account than the linked ones comes back: nothing is linked until the person has said what is meant.

Meanwhile the received tokens wait, sealed, in a row of their own. What is cancelled or not answered is given back. What
the person says is heard in `confirming`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import uuid4

from tokenstore.core.attaching import Attacher, is_of
from tokenstore.core.model import Attempt, AuditEvent, Caller
from tokenstore.core.ports import NewLink, Waiting, WaitingStore
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.errors import TokenStoreError

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long received tokens wait for the person."""


class Asker:
    """Lets tokens wait, and gives back those that waited in vain."""

    def __init__(self, registry: Registry, waiting: WaitingStore, revoker: Revoker, attacher: Attacher) -> None:
        self._apart = frozenset(provider.id for provider in registry if not provider.revokes_grant)
        self._waiting = waiting
        self._revoker = revoker
        self._attacher = attacher

    def needed(self, new: NewLink) -> bool:
        """Whether the user has linked other accounts at the provider, and not this one."""
        linked = [one.link for one in self._attacher.standings(new.user.identity, new.provider)]
        return bool(linked) and not any(is_of(link, new.account) for link in linked)

    def ask(self, new: NewLink, attempt: Attempt, caller: Caller) -> Waiting:
        """Let the tokens wait for the person. What waited for the same before is given back.

        Raises KeyUnavailable, StorageUnavailable; then the tokens are given back, too.
        """
        waiting = Waiting(
            id=uuid4(),
            user=new.user.identity,
            provider_id=new.provider.id,
            client_id=new.provider.client_id,
            account=new.account,
            tokens=new.tokens,
            scopes_requested=new.scopes_requested,
            sent=new.sent,
            return_url=attempt.return_url,
            reports=attempt.reports,
            link_id=attempt.link_id,
        )
        try:
            event = AuditEvent("link.waiting", "success", caller, waiting.user, waiting.provider_id)
            self._waiting.save(waiting, caller.session_key or "", PATIENCE, event)
        except Exception:
            self._attacher.give_back(new)
            raise
        self._give_up_before(waiting)
        return waiting

    def _give_up_before(self, waiting: Waiting) -> None:
        """Once the new question is there, which keeps what the earlier ones leave from ending its grant."""
        try:
            owed = self._waiting.give_up_before(waiting, self._apart, refused("unanswered"))
        except TokenStoreError as error:
            log.warning("what waited before goes on waiting", extra={"because": error.slug})
        else:
            self._revoker.settle_all(owed)

    def sweep(self) -> int:
        """Give back some of what nobody answered for in time; how many tokens. Raises KeyUnavailable,
        StorageUnavailable.
        """
        owed = self._waiting.give_up_stale(self._apart, refused("unanswered"))
        self._revoker.settle_all(owed)
        return len(owed)

    def give_up(self, waiting: Waiting, reason: str, caller: Caller) -> bool:
        """Give back what waits, because of this caller; False if it is gone already."""
        owed = self._waiting.give_up(waiting.id, self._apart, refused(reason, caller))
        self._revoker.settle_all(owed or ())
        return owed is not None


def refused(reason: str, caller: Caller | None = None) -> AuditEvent:
    """The event of tokens that waited in vain; the store adds whose they were, and at which provider."""
    return AuditEvent("link.refused", "failure", caller, reason=reason)

"""Storing a completed linking, so that received tokens are in a link, on their way back, or waiting as before."""

from __future__ import annotations

import logging
from collections.abc import Collection

from tokenstore.core.model import (
    Account,
    Asked,
    AuditEvent,
    Caller,
    Identity,
    Link,
    LinkId,
    Provider,
)
from tokenstore.core.ports import LinkStore, NewLink, NotWaiting, OnlyOneAccount, Standing
from tokenstore.core.revocation import Revoker

log = logging.getLogger(__name__)


class Attacher:
    """Makes links of what was received."""

    def __init__(self, links: LinkStore, revoker: Revoker) -> None:
        self._links = links
        self._revoker = revoker

    def attach(self, new: NewLink, caller: Caller) -> Link:
        """The link, stored; or what was received is given back, unless it waits for the person's word and goes on so.

        Raises KeyUnavailable, StorageUnavailable, and OnlyOneAccount, after which nothing is given back yet, and
        NotWaiting.
        """
        try:
            return self._links.attach(new, _created(new, caller))
        except (OnlyOneAccount, NotWaiting):
            raise
        except Exception:
            stored = self._stored_or_given_back(new)
            if stored is None:
                raise
            return stored

    def swap(self, new: NewLink, replaced: Collection[LinkId], caller: Caller) -> Link:
        """The same in place of these links, whose tokens are revoked then; what cannot be done now stays queued."""
        try:
            swapped = self._links.swap(new, replaced, _created(new, caller))
        except NotWaiting:
            raise
        except Exception:
            stored = self._stored_or_given_back(new)
            if stored is None:
                raise
            return stored
        self._revoker.settle_all(gone.debt for gone in swapped.removed if gone.debt is not None)
        return swapped.link

    def give_back(self, new: NewLink) -> None:
        """Revoke what was received, unless that could end a link that is there. Never raises."""
        owed = new.tokens.refresh_token or new.tokens.access_token
        self._revoker.give_back(new.provider, new.user.identity, owed, new.account)

    def standings(self, user: Identity, provider: Provider) -> list[Standing]:
        """The user's links at the provider, the default one first."""
        return [one for one in self._links.standings(user) if one.link.provider_id == provider.id]

    def standing(self, user: Identity, provider: Provider, account: Account) -> Standing | None:
        """The user's link to this account, if there is one."""
        of_account = (one for one in self.standings(user, provider) if is_of(one.link, account))
        return next(of_account, None)

    def _stored_or_given_back(self, new: NewLink) -> Link | None:
        """After an error: the link if it is there all the same; else what was received is given back.

        The commit's answer may be what was lost. If that cannot be told, nothing may be revoked. What waited does so
        on if nothing was committed, and can be answered again.
        """
        stored = self._stored(new)
        if stored is None and new.waiting_id is None:
            self.give_back(new)
        if stored is not None:
            log.warning("a link was stored though the database did not say so", extra={"link": str(stored.id)})
        return stored

    def _stored(self, new: NewLink) -> Link | None:
        """The link, if it holds the very tokens that it was to be made of."""
        standing = self.standing(new.user.identity, new.provider, new.account)
        if standing is None:
            return None
        holding = self._links.read(new.user.identity, new.provider.id, standing.link.id, Asked().variant)
        if holding is None or holding.token is None or holding.token.value != new.tokens.access_token:
            return None
        return holding.link


def _created(new: NewLink, caller: Caller) -> AuditEvent:
    return AuditEvent("link.created", "success", caller, new.user.identity, new.provider.id)


def is_of(link: Link, account: Account) -> bool:
    """Whether the link, one at the provider of the account, is to this account."""
    return (link.account.issuer, link.account.subject) == (account.issuer, account.subject)

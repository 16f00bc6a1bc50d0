"""Storing a completed linking, so that received tokens are either in a link or on their way back."""

from __future__ import annotations

import logging

from tokenstore.core.model import Account, Asked, AuditEvent, Caller, Link, Profile, Provider
from tokenstore.core.ports import LinkStore, NewLink, Standing
from tokenstore.core.revocation import Revoker

log = logging.getLogger(__name__)


class Attacher:
    """Makes links of what was received."""

    def __init__(self, links: LinkStore, revoker: Revoker) -> None:
        self._links = links
        self._revoker = revoker

    def attach(self, new: NewLink, caller: Caller | None) -> Link:
        """The link, stored; or what was received is given back. Raises KeyUnavailable, StorageUnavailable."""
        user = new.user.identity
        try:
            return self._links.attach(new, AuditEvent("link.created", "success", caller, user, new.provider.id))
        except Exception:
            # The commit's answer may be what was lost. If that cannot be told, nothing may be revoked.
            stored = self._stored(new)
            if stored is None:
                self.give_back(new)
                raise
            log.warning("a link was stored though the database did not say so", extra={"link": str(stored.id)})
            return stored

    def give_back(self, new: NewLink) -> None:
        """Revoke what was received, unless that could end a link that is there. Never raises."""
        owed = new.tokens.refresh_token or new.tokens.access_token
        self._revoker.give_back(new.provider, new.user.identity, owed, new.account)

    def standings(self, user: Profile, provider: Provider) -> list[Standing]:
        """The user's links at the provider, the default one first."""
        return [one for one in self._links.standings(user.identity) if one.link.provider_id == provider.id]

    def standing(self, user: Profile, provider: Provider, account: Account) -> Standing | None:
        """The user's link to this account, if there is one."""
        of_account = (one for one in self.standings(user, provider) if is_of(one.link, account))
        return next(of_account, None)

    def _stored(self, new: NewLink) -> Link | None:
        """The link, if it holds the very tokens that it was to be made of."""
        standing = self.standing(new.user, new.provider, new.account)
        if standing is None:
            return None
        holding = self._links.read(new.user.identity, new.provider.id, standing.link.id, Asked().variant)
        if holding is None or holding.token is None or holding.token.value != new.tokens.access_token:
            return None
        return holding.link


def is_of(link: Link, account: Account) -> bool:
    """Whether the link, one at the provider of the account, is to this account."""
    return (link.account.issuer, link.account.subject) == (account.issuer, account.subject)

"""Beginning to link an account: what would be asked for, and the provider's address for it."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.core.attempts import Attempts, Begun
from tokenstore.core.finding import find_standing
from tokenstore.core.model import Caller, Link, LinkId, Provider, Purpose
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import LinkStore
from tokenstore.core.registry import Registry
from tokenstore.core.wishes import NO_WISHES, Wishes, scopes_to_ask
from tokenstore.errors import NotFound


@dataclass(frozen=True, slots=True)
class Preview:
    """What a linking would ask for. `link`: the one that it would renew, if one was named."""

    provider: Provider
    scopes: tuple[str, ...]
    link: Link | None


class LinkingService:
    """Begins linking accounts at providers; `completing` ends it."""

    def __init__(self, registry: Registry, policy: Policy, links: LinkStore, attempts: Attempts) -> None:
        self._registry = registry
        self._policy = policy
        self._links = links
        self._attempts = attempts

    def preview(self, caller: Caller, provider_id: str, wishes: Wishes = NO_WISHES) -> Preview:
        """What `begin` would ask for, so that a person can be shown it first.

        Raises UnknownProvider, PolicyDenied, NotFound (the link that is named), InvalidRequest (a scope that is not
        configured), StorageUnavailable.
        """
        provider = self._registry.get(provider_id)
        self._policy.require(caller, caller.identity, Action.LINK, provider)
        link = self._named(caller, provider, wishes.link_id)
        return Preview(provider, scopes_to_ask(provider, wishes, link), link)

    def begin(self, caller: Caller, provider_id: str, return_url: str, wishes: Wishes = NO_WISHES) -> Begun:
        """Start linking an account; the browser has to go to the returned address within ten minutes.

        `return_url` has passed the return-URL policy. Begun by a bearer token, the attempt is bound to the user and the
        callback still demands that user's session. Raises what `preview` raises, ProviderUnavailable
        (ProviderBusy where no place is free), ProviderMisconfigured.
        """
        preview = self.preview(caller, provider_id, wishes)
        return self._attempts.begin(
            Purpose.LINK,
            preview.provider,
            user=caller.identity,
            session_key=caller.session_key,
            return_url=return_url,
            wishes=wishes,
            link=preview.link,
        )

    def _named(self, caller: Caller, provider: Provider, link_id: LinkId | None) -> Link | None:
        """The caller's link of this id, None if none is named. Raises NotFound."""
        if link_id is None:
            return None
        link = find_standing(self._links, caller.identity, link_id).link
        if link.provider_id != provider.id:
            raise NotFound("This link of yours is at another provider.")
        return link

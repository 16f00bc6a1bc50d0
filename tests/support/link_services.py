"""The services of linking over any stores, put together as the application does."""

from __future__ import annotations

from dataclasses import dataclass

from support.harness import Ports
from tokenstore.core.asking import Asker
from tokenstore.core.attaching import Attacher
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.completing import CompletionService
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.linking import LinkingService
from tokenstore.core.model import Provider
from tokenstore.core.places import Places
from tokenstore.core.policy import Policy
from tokenstore.core.ports import LinkStore, ProviderClient, ProviderFacts
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import PATIENCE_SECONDS, Revoker
from tokenstore.core.unlinking import UnlinkingService


@dataclass(frozen=True, slots=True)
class LinkServices:
    """Begin, complete, confirm, unlink; and what pays for it."""

    linking: LinkingService
    completing: CompletionService
    confirmations: ConfirmationService
    unlinking: UnlinkingService
    revoker: Revoker
    asker: Asker


def link_services(
    stores: Ports,
    facts: ProviderFacts,
    client: ProviderClient,
    provider: Provider,
    *,
    policy: Policy | None = None,
    links: LinkStore | None = None,
    places: Places | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> LinkServices:
    """The services for one provider; `links` in place of those of the stores."""
    registry, policy, links = Registry([provider]), policy or Policy(), links or stores.links
    places = places or Places()
    revoker = Revoker(registry, stores.outbox, client, places, patience_seconds=patience_seconds)
    attacher = Attacher(links, revoker)
    asker = Asker(registry, stores.waiting, revoker, attacher)
    check = CallbackCheck(stores.attempts, client)
    return LinkServices(
        LinkingService(registry, policy, links, Attempts(stores.attempts, client, places)),
        CompletionService(registry, stores.users, check, client, stores.audit, revoker, facts, attacher, asker, places),
        ConfirmationService(registry, policy, stores.users, stores.waiting, attacher, asker),
        UnlinkingService(registry, policy, links, revoker),
        revoker,
        asker,
    )

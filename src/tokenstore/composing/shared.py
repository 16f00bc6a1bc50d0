"""What requests and keeper both work with: the refresh engine, and who pays what is owed to providers."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.composing.adapters import Adapters
from tokenstore.composing.providers import Providers
from tokenstore.config import Loaded
from tokenstore.core.asking import Asker
from tokenstore.core.attaching import Attacher
from tokenstore.core.metrics import Metrics
from tokenstore.core.refresh import Calling, Keeping, Recovery, Refresher, Timing
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.usage import Usage


@dataclass(frozen=True, slots=True)
class Shared:
    """One of each in a process, whoever uses it."""

    registry: Registry
    revoker: Revoker
    keeping: Keeping
    recovery: Recovery
    refresher: Refresher
    attacher: Attacher
    asker: Asker
    usage: Usage


def make_shared(loaded: Loaded, adapters: Adapters, providers: Providers, metrics: Metrics) -> Shared:
    """What is shared, over its adapters."""
    registry = Registry(loaded.providers)
    timing = Timing()
    revoker = Revoker(registry, adapters.outbox, providers.client, providers.places)
    keeping = Keeping(adapters.links, revoker, metrics, timing)
    recovery = Recovery(registry, adapters.links, adapters.spool, keeping)
    refresher = Refresher(
        links=adapters.links,
        quarantines=adapters.quarantines,
        calling=Calling(providers.client, timing),
        keeping=keeping,
        recovery=recovery,
        spool=adapters.spool,
        facts=adapters.facts,
        revoker=revoker,
        metrics=metrics,
        timing=timing,
        wait_seconds=float(loaded.settings.wait_seconds),
    )
    attacher = Attacher(adapters.links, revoker)
    return Shared(
        registry=registry,
        revoker=revoker,
        keeping=keeping,
        recovery=recovery,
        refresher=refresher,
        attacher=attacher,
        asker=Asker(registry, adapters.waiting, revoker, attacher),
        usage=Usage(adapters.used),
    )

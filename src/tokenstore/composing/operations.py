"""What runs beside the requests, and what commands do with the spool."""

from __future__ import annotations

from datetime import timedelta

from tokenstore.composing.adapters import Adapters
from tokenstore.composing.providers import Providers
from tokenstore.composing.shared import Shared
from tokenstore.config import Settings
from tokenstore.core.metrics import Metrics
from tokenstore.core.refresh import Recovery
from tokenstore.keeper.making import Tools, make_keeper
from tokenstore.keeper.operations import Operations
from tokenstore.store.spool import FileSpool


def make_operations(
    settings: Settings, adapters: Adapters, providers: Providers, shared: Shared, metrics: Metrics
) -> Operations:
    """The keeper, which does not begin by itself, and the spool."""
    tools = Tools(
        registry=shared.registry,
        due=adapters.due,
        refresher=shared.refresher,
        recovery=shared.recovery,
        spool=adapters.spool,
        gate=providers.gate,
        revoker=shared.revoker,
        asker=shared.asker,
        outbox=adapters.outbox,
        perishables=adapters.perishables,
        usage=shared.usage,
        metrics=metrics,
        rate=settings.keeper_rate,
        unused=timedelta(days=settings.keeper_unused_days),
    )
    return Operations(
        keeper=make_keeper(tools, embedded=settings.keeper == "embedded"),
        spool=adapters.spool,
        spool_in=lambda folder: FileSpool(folder, adapters.vault),
        recovery_of=lambda spool: Recovery(shared.registry, adapters.links, spool, shared.keeping),
    )

"""Which chores there are, and how often each is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tokenstore.core.asking import Asker
from tokenstore.core.gate import Gate
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import Provider
from tokenstore.core.ports import DueLinks, Outbox, Perishables
from tokenstore.core.refresh import Recovery, Refresher
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.spool import Spool
from tokenstore.core.usage import Usage
from tokenstore.keeper.chores import FlushUsage, GiveBack, Measure, PayOwed, Purge, ReplaySpool
from tokenstore.keeper.loop import Routine
from tokenstore.keeper.process import Keeper
from tokenstore.keeper.refreshing import AT_ONCE, FORWARD_AT_ONCE, BringForward, LookAfter


@dataclass(frozen=True, slots=True)
class Tools:
    """What the chores are done with. `rate`: links a second and provider; `unused`: as for LookAfter."""

    registry: Registry
    due: DueLinks
    refresher: Refresher
    recovery: Recovery
    spool: Spool
    gate: Gate
    revoker: Revoker
    asker: Asker
    outbox: Outbox
    perishables: Perishables
    usage: Usage
    metrics: Metrics
    rate: int
    unused: timedelta


def make_keeper(tools: Tools, *, embedded: bool) -> Keeper:
    """The keeper of a process; `embedded`: whether a serving process does the shared chores, too."""
    return Keeper(own_routines(tools), shared_routines(tools), tools.usage, tools.metrics, embedded=embedded)


def own_routines(tools: Tools) -> Sequence[Routine]:
    """What a process does for itself and its machine, whoever does the rest."""
    return [
        Routine("spool", ReplaySpool(tools.recovery), every=30),
        Routine("usage", FlushUsage(tools.usage), every=4),
        Routine("measure", Measure(tools.outbox, tools.spool, tools.metrics), every=30),
    ]


def shared_routines(tools: Tools) -> Sequence[Routine]:
    """What one process does for all; several may."""
    return [
        *(
            # As fast as they are refreshed, so that those in use do not come after all of them.
            Routine(
                f"idle {provider.id}",
                BringForward(provider, tools.due),
                every=3600,
                again=FORWARD_AT_ONCE / tools.rate,
            )
            for provider in tools.registry
            if provider.refreshes and provider.refresh_idle is not None
        ),
        *(
            Routine(f"refresh {provider.id}", _look_after(tools, provider), every=5, again=AT_ONCE / tools.rate)
            for provider in tools.registry
            if provider.refreshes
        ),
        Routine("outbox", PayOwed(tools.revoker, tools.registry, tools.gate), every=10),
        Routine("waiting", GiveBack(tools.asker), every=60),
        Routine("purge", Purge(tools.perishables, tools.metrics), every=3600),
    ]


def _look_after(tools: Tools, provider: Provider) -> LookAfter:
    return LookAfter(
        provider,
        tools.due,
        tools.refresher,
        tools.recovery,
        tools.spool,
        tools.gate,
        tools.metrics,
        unused=tools.unused,
    )

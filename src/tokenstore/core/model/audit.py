"""Lifecycle events."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.core.model.links import LinkId
from tokenstore.core.model.people import Caller, Identity, Origin


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One lifecycle event, written in the transaction it belongs to. `action` is listed in the events reference.

    `origin` is for events without a caller, who brings one along.
    """

    action: str
    outcome: str
    caller: Caller | None = None
    user: Identity | None = None
    provider_id: str | None = None
    link_id: LinkId | None = None
    reason: str | None = None
    origin: Origin | None = None

"""Writing down why something failed, so that the cause is what is told even where it cannot be written down."""

from __future__ import annotations

import logging

from tokenstore.core.model import AuditEvent
from tokenstore.core.ports import AuditLog
from tokenstore.errors import TokenStoreError

log = logging.getLogger(__name__)


def note_failure(audit: AuditLog, event: AuditEvent) -> None:
    """Write the event of a failure that is being raised; if that fails, too, it is only logged. Never raises."""
    try:
        audit.record(event)
    except TokenStoreError as error:
        because = {"event": event.action, "reason": event.reason, "because": error.slug}
        log.warning("a failure could not be written down", extra=because)

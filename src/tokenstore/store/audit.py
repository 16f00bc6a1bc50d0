"""Audit rows: added, never changed. Every store writes its events in the transaction they belong to."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, insert

from tokenstore.core.model import AuditEvent
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import audit_event


class SqlAuditLog:
    """The `AuditLog` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: AuditEvent) -> None:
        """Write one audit row in a transaction of its own."""
        with self._database.writing() as connection:
            insert_event(connection, event)


def insert_event(connection: Connection, event: AuditEvent) -> None:
    """Write one audit row in the transaction under way, at the database's now."""
    caller, user = event.caller, event.user
    connection.execute(
        insert(audit_event).values(
            id=uuid4(),
            at=db_now(),
            action=event.action,
            outcome=event.outcome,
            reason=event.reason,
            provider_id=event.provider_id,
            link_id=event.link_id,
            user_issuer=user.issuer if user else None,
            user_subject=user.subject if user else None,
            caller_kind=caller.kind if caller else None,
            caller_issuer=caller.identity.issuer if caller else None,
            caller_subject=caller.identity.subject if caller else None,
            caller_client=caller.client if caller else None,
            address=caller.address if caller else None,
            request_id=caller.request_id if caller else None,
        )
    )

"""Audit rows: added, never changed. Every store writes its events in the transaction they belong to."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection, String, insert

from tokenstore.core.model import AuditEvent
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import audit_event
from tokenstore.store.texts import LONGEST, storable


class SqlAuditLog:
    """The `AuditLog` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: AuditEvent) -> None:
        """Write one audit row in a transaction of its own."""
        with self._database.writing() as connection:
            insert_event(connection, event)


def insert_event(connection: Connection, event: AuditEvent) -> None:
    """Write one audit row in the transaction under way, at the database's now.

    Whatever its texts hold: what it is about must not fail for them. They are made storable and cut to fit.
    """
    caller, user = event.caller, event.user
    place = caller or event.origin
    texts = {
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "provider_id": event.provider_id,
        "user_issuer": user.issuer if user else None,
        "user_subject": user.subject if user else None,
        "caller_kind": caller.kind if caller else None,
        "caller_issuer": caller.identity.issuer if caller else None,
        "caller_subject": caller.identity.subject if caller else None,
        "caller_client": caller.client if caller else None,
        "address": place.address if place else None,
        "request_id": place.request_id if place else None,
    }
    fitting = {name: storable(text, _length(name)) for name, text in texts.items()}
    connection.execute(insert(audit_event).values(id=uuid4(), at=db_now(), link_id=event.link_id, **fitting))


def _length(column: str) -> int:
    kind = audit_event.c[column].type
    return kind.length if isinstance(kind, String) and kind.length else LONGEST

"""Attempts: logins and linkings under way, sealed, found by a keyed hash of their state, taken by deleting."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, insert, select

from tokenstore.core.model import Attempt, Identity, LinkId, ProviderId, Purpose
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import link_attempt
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Label, Vault

MOST_OPEN = 5
"""Attempts that stay open per browser session, and per user and provider those begun by programs."""

KEPT_AFTER_EXPIRY = timedelta(hours=1)
"""How long an expired attempt is kept, so that one who comes late can be told so and the audit names the provider."""


class SqlAttemptStore:
    """The `AttemptStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def save(self, attempt: Attempt) -> None:
        """Keep an attempt until `expires_at`; beyond MOST_OPEN the oldest of the session, or of the program's, goes."""
        attempt_id, columns = uuid4(), link_attempt.c
        whose = _whose(attempt)
        session_hash = self._hash(whose) if whose else None
        row = {
            "id": attempt_id,
            "state_hash": self._hash(attempt.state.reveal()),
            "session_hash": session_hash,
            "provider_id": attempt.provider_id,
            "sealed": self._vault.seal(_pack(attempt), _context(attempt_id, attempt.provider_id)),
            "created_at": db_now(),
            "expires_at": attempt.expires_at,
        }
        with self._database.writing() as connection:
            connection.execute(delete(link_attempt).where(columns.expires_at < from_now(-KEPT_AFTER_EXPIRY)))
            if session_hash:
                open_ones = (columns.session_hash == session_hash, columns.expires_at > db_now())
                newest = select(columns.id).where(*open_ones).order_by(columns.created_at.desc()).limit(MOST_OPEN - 1)
                connection.execute(delete(link_attempt).where(*open_ones, columns.id.not_in(newest)))
            connection.execute(insert(link_attempt).values(row))

    def take(self, state: str) -> Attempt | None:
        """Remove and return the attempt of this state, in one statement. Raises KeyUnavailable."""
        columns = link_attempt.c
        statement = (
            delete(link_attempt)
            .where(columns.state_hash == self._hash(state))
            .returning(columns.id, columns.provider_id, columns.sealed, columns.expires_at)
        )
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        provider_id = ProviderId(row.provider_id)
        packed = self._vault.open(row.sealed, _context(row.id, provider_id))
        return _unpack(packed, Secret(state), provider_id, row.expires_at)

    def now(self) -> datetime:
        """The database's clock."""
        with self._database.reading() as connection:
            return connection.execute(select(db_now())).scalar_one()

    def _hash(self, value: str) -> bytes:
        return self._vault.lookup(Label.LOOKUP, value)


def _whose(attempt: Attempt) -> str | None:
    """What an attempt is counted under; a session's key is no JSON array."""
    if attempt.session_key is None and attempt.user is not None:
        return json.dumps([attempt.user.issuer, attempt.user.subject, attempt.provider_id])
    return attempt.session_key


def _context(attempt_id: UUID, provider_id: ProviderId) -> Context:
    return Context(link_attempt.name, Kind.ATTEMPT, attempt_id, provider_id=provider_id)


def _pack(attempt: Attempt) -> Secret:
    user = attempt.user
    return Secret(
        json.dumps(
            {
                "nonce": attempt.nonce.reveal(),
                "code_verifier": attempt.code_verifier.reveal(),
                "purpose": attempt.purpose,
                "user": [user.issuer, user.subject] if user else None,
                "session_key": attempt.session_key,
                "return_url": attempt.return_url,
                "scopes": attempt.scopes,
                "redirect_uri": attempt.redirect_uri,
                "link": str(attempt.link_id) if attempt.link_id else None,
                "reports": attempt.reports,
            }
        )
    )


def _unpack(packed: Secret, state: Secret, provider_id: ProviderId, expires_at: datetime) -> Attempt:
    content = json.loads(packed.reveal())
    return Attempt(
        state=state,
        nonce=Secret(content["nonce"]),
        code_verifier=Secret(content["code_verifier"]),
        purpose=Purpose(content["purpose"]),
        provider_id=provider_id,
        user=Identity(*content["user"]) if content["user"] else None,
        session_key=content["session_key"],
        return_url=content["return_url"],
        scopes=tuple(content["scopes"]),
        redirect_uri=content["redirect_uri"],
        expires_at=expires_at,
        # Attempts that an earlier version began have neither.
        link_id=LinkId(UUID(content["link"])) if content.get("link") else None,
        reports=content.get("reports", False),
    )

"""A provider gets another id: everything that is sealed for the old one is sealed anew for the new one.

The links of one user move together, under the lock of the user's row as linking does, what is owed to the provider
goes one by one; so a run that was stopped is run again. Attempts under way are dropped, events stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, case, delete, select

from tokenstore.core.model import AuditEvent, Identity, Link, LinkState, ProviderId, UserId
from tokenstore.errors import KeyUnavailable
from tokenstore.store.access_tokens import put_resealed, resealed_access_tokens
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database
from tokenstore.store.link_rows import (
    LINK_COLUMNS,
    current_context,
    has_default,
    previous_context,
    to_link,
    update_one,
)
from tokenstore.store.outbox import reseal_owed
from tokenstore.store.provider_facts import move_facts
from tokenstore.store.quarantine import move_quarantine
from tokenstore.store.tables import link, link_attempt, link_waiting, outbox, user_account
from tokenstore.store.unlinking import pass_default_on
from tokenstore.store.waiting import reseal_waiting
from tokenstore.vault.vault import Vault

_BATCH = 200
# CASE, since a comparison with NULL is not false.
_LEASED = case((link.c.lease_until > db_now(), True), else_=False).label("leased")


class Fate(StrEnum):
    """What becomes of one link, of tokens that wait for a person's word, or of one that is owed to the provider.

    TAKEN: the user has a link to this account under the new id. SUPERSEDED: that, too, and this one was unlinked.
    """

    MOVED = "moved"
    WAITING_MOVED = "waiting-moved"
    OWED_MOVED = "owed-moved"
    SUPERSEDED = "superseded"
    BUSY = "busy"
    TAKEN = "taken"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Moved:
    """The fate of one row."""

    id: UUID
    fate: Fate


class ProviderRenaming:
    """Moves what belongs to the provider `old` to the provider `new`."""

    def __init__(self, database: Database, vault: Vault, old: ProviderId, new: ProviderId) -> None:
        self._database = database
        self._vault = vault
        self._old = old
        self._new = new

    def run(self, *, dry_run: bool) -> Iterator[Moved]:
        """The fate of each row, told when it is settled. `dry_run`: nothing is changed.

        Raises StorageUnavailable, and KeyUnavailable if there are no keys at all.
        """
        self._vault.ready()
        for user_id in self._ids(link.c.user_id, link.c.provider_id):
            yield from self._links_of(UserId(user_id), dry_run)
        for waiting_id in self._ids(link_waiting.c.id, link_waiting.c.provider_id):
            yield from self._waiting(waiting_id, dry_run)
        for outbox_id in self._ids(outbox.c.id, outbox.c.provider_id):
            yield from self._owed(outbox_id, dry_run)
        if not dry_run:
            with self._database.writing() as connection:
                connection.execute(delete(link_attempt).where(link_attempt.c.provider_id == self._old))
                move_facts(connection, self._old, self._new)
                move_quarantine(connection, self._old, self._new)

    def _ids(self, column: Column[Any], provider_id: Column[Any]) -> Iterator[UUID]:
        """Each value of a column in rows of the old provider once, in order."""
        statement = select(column).where(provider_id == self._old).distinct().order_by(column).limit(_BATCH)
        found = self._read(statement)
        while found:
            yield from found
            found = self._read(statement.where(column > found[-1]))

    def _read(self, statement: Select[tuple[Any]]) -> Sequence[UUID]:
        with self._database.reading() as connection:
            return connection.scalars(statement).all()

    def _links_of(self, user_id: UserId, dry_run: bool) -> Sequence[Moved]:
        """Move a user's links, all or, while one of them is being refreshed, none."""
        person = user_account.c
        owner = select(person.issuer, person.subject).where(person.id == user_id).with_for_update(key_share=True)
        with self._database.writing() as connection:
            who = connection.execute(owner).first()
            rows = connection.execute(_links(user_id, self._old)).all()
            if who is None or any(row.leased for row in rows):
                return [Moved(row.id, Fate.BUSY) for row in rows]
            event = AuditEvent("link.moved", "success", None, Identity(*who), self._new, reason=self._old)
            moved = [self._move(connection, row, replace(event, link_id=row.id), dry_run) for row in rows]
            if not dry_run:
                pass_default_on(connection, user_id, self._new)
                pass_default_on(connection, user_id, self._old)
        return moved

    def _move(self, connection: Connection, row: Row[*tuple[Any, ...]], event: AuditEvent, dry_run: bool) -> Moved:
        seen = to_link(row)
        there = connection.execute(_same_account(seen, self._new)).first()
        if there is not None and seen.state is LinkState.REVOKED:
            if not dry_run:
                connection.execute(delete(link).where(_as_seen(seen)))
            return Moved(seen.id, Fate.SUPERSEDED)
        if there is not None and there.state != LinkState.REVOKED:
            return Moved(seen.id, Fate.TAKEN)
        after = replace(seen, provider_id=self._new)
        try:
            sealed = self._resealed(row, seen, after)
            cached = resealed_access_tokens(connection, self._vault, seen, after)
        except KeyUnavailable:
            return Moved(seen.id, Fate.UNREADABLE)
        if dry_run:
            return Moved(seen.id, Fate.MOVED)
        if there is not None:
            connection.execute(delete(link).where(link.c.id == there.id))
        # The version stays, for an answer that waits in a spool, and so does the trace of who left it there; whoever
        # holds a lease that ran out misses the fence by the old id.
        values = {
            **sealed,
            "provider_id": self._new,
            "is_default": and_(link.c.is_default, ~has_default(seen.user_id, self._new)),
        }
        if not update_one(connection, _as_seen(seen), values):
            return Moved(seen.id, Fate.BUSY)
        put_resealed(connection, seen.id, cached)
        if seen.state is not LinkState.REVOKED:
            insert_event(connection, event)
        return Moved(seen.id, Fate.MOVED)

    def _resealed(self, row: Row[*tuple[Any, ...]], before: Link, after: Link) -> dict[str, bytes | None]:
        """The sealed columns of a link anew. Raises KeyUnavailable."""
        contexts = {"refresh_sealed": current_context, "prev_sealed": previous_context}
        return {
            name: sealed and self._vault.seal(self._vault.open(sealed, context(before)), context(after))
            for name, context in contexts.items()
            for sealed in [getattr(row, name)]
        }

    def _waiting(self, waiting_id: UUID, dry_run: bool) -> Sequence[Moved]:
        """Move tokens that wait for a person's word; nothing if they were taken meanwhile."""
        with self._database.writing() as connection:
            try:
                done = reseal_waiting(connection, self._vault, waiting_id, self._old, self._new, dry_run=dry_run)
            except KeyUnavailable:
                return [Moved(waiting_id, Fate.UNREADABLE)]
        return [Moved(waiting_id, Fate.WAITING_MOVED)] if done else []

    def _owed(self, outbox_id: UUID, dry_run: bool) -> Sequence[Moved]:
        """Move a token that is to be revoked; nothing if it was revoked meanwhile."""
        with self._database.writing() as connection:
            try:
                done = reseal_owed(connection, self._vault, outbox_id, self._old, self._new, dry_run=dry_run)
            except KeyUnavailable:
                return [Moved(outbox_id, Fate.UNREADABLE)]
        fates = {True: [Fate.OWED_MOVED], False: [Fate.BUSY], None: []}
        return [Moved(outbox_id, fate) for fate in fates[done]]


def _links(user_id: UserId, provider_id: ProviderId) -> Select[*tuple[Any, ...]]:
    """A user's links at a provider with what is sealed in them, locked, the default one first."""
    columns = link.c
    return (
        select(*LINK_COLUMNS, columns.refresh_sealed, columns.prev_sealed, _LEASED)
        .where(columns.user_id == user_id, columns.provider_id == provider_id)
        .order_by(columns.is_default.desc(), columns.linked_at, columns.id)
        .with_for_update(key_share=True)
    )


def _same_account(seen: Link, provider_id: ProviderId) -> Select[*tuple[Any, ...]]:
    columns = link.c
    return select(columns.id, columns.state).where(
        columns.user_id == seen.user_id,
        columns.provider_id == provider_id,
        columns.issuer == seen.account.issuer,
        columns.subject == seen.account.subject,
    )


def _as_seen(seen: Link) -> ColumnElement[bool]:
    return and_(link.c.id == seen.id, link.c.provider_id == seen.provider_id, link.c.version == seen.version)

"""What was learned of providers' ways: each fact once, with when it was first seen."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, literal, select

from tokenstore.core.lessons import Fact
from tokenstore.core.model import ProviderId
from tokenstore.errors import StorageUnavailable
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.tables import provider_seen

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A fact of a provider and when it was first seen."""

    provider_id: ProviderId
    fact: Fact
    since: datetime


class SqlProviderFacts:
    """The `ProviderFacts` port. What one process has written it does not write again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[tuple[ProviderId, Fact]] = set()

    def learn(self, provider_id: ProviderId, facts: Collection[Fact]) -> None:
        """Keep what is new. Never raises: a lesson that is lost comes again."""
        new = [fact for fact in facts if (provider_id, fact) not in self._known]
        if not new:
            return
        rows = [
            {"provider_id": provider_id, "fact": fact.name, "value": fact.value, "first_seen_at": db_now()}
            for fact in sorted(new)
        ]
        try:
            with self._database.writing() as connection:
                connection.execute(insert_into(connection, provider_seen).values(rows).on_conflict_do_nothing())
        except StorageUnavailable as error:
            _log.warning("what was learned of a provider is not kept", extra={"because": error.slug})
            return
        self._known.update((provider_id, fact) for fact in new)

    def seen(self, provider_id: ProviderId | None = None) -> Sequence[Seen]:
        """Everything known of one provider, or of all, by provider and fact. Raises StorageUnavailable."""
        columns = provider_seen.c
        statement = select(provider_seen).order_by(columns.provider_id, columns.fact, columns.first_seen_at)
        if provider_id is not None:
            statement = statement.where(columns.provider_id == provider_id)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [Seen(ProviderId(row.provider_id), Fact(row.fact, row.value), row.first_seen_at) for row in rows]


def move_facts(connection: Connection, old: ProviderId, new: ProviderId) -> None:
    """Give what is known of one provider to another, in the transaction under way."""
    columns = provider_seen.c
    known = select(literal(new), columns.fact, columns.value, columns.first_seen_at).where(columns.provider_id == old)
    names = ["provider_id", "fact", "value", "first_seen_at"]
    connection.execute(insert_into(connection, provider_seen).from_select(names, known).on_conflict_do_nothing())
    connection.execute(delete(provider_seen).where(columns.provider_id == old))

"""Providers as operators see them: what is linked there, and what two ids have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from tokenstore.core.model import LinkId, LinkState, ProviderId
from tokenstore.store.engine import Database
from tokenstore.store.tables import link


@dataclass(frozen=True, slots=True)
class Held:
    """How many links, not revoked, a provider has with accounts of this issuer and tokens issued to this client."""

    issuer: str
    client_id: str
    links: int


class ProviderAdmin:
    """Looks at the links of all users at once. All methods raise StorageUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def links(self) -> Mapping[ProviderId, Mapping[LinkState, int]]:
        """The number of links in each state at each provider, configured or not; those that were unlinked left out."""
        columns = link.c
        statement = (
            select(columns.provider_id, columns.state, func.count())
            .where(columns.state != LinkState.REVOKED)
            .group_by(columns.provider_id, columns.state)
        )
        found: dict[ProviderId, dict[LinkState, int]] = {}
        with self._database.reading() as connection:
            for provider_id, state, count in connection.execute(statement):
                found.setdefault(ProviderId(provider_id), {})[LinkState(state)] = count
        return found

    def clients(self) -> Mapping[ProviderId, Mapping[str, int]]:
        """The number of links by the client that their tokens were issued to, at each provider; as `links` else."""
        columns = link.c
        statement = (
            select(columns.provider_id, columns.client_id, func.count())
            .where(columns.state != LinkState.REVOKED)
            .group_by(columns.provider_id, columns.client_id)
        )
        found: dict[ProviderId, dict[str, int]] = {}
        with self._database.reading() as connection:
            for provider_id, client_id, count in connection.execute(statement):
                found.setdefault(ProviderId(provider_id), {})[client_id] = count
        return found

    def held(self, provider_id: ProviderId) -> Sequence[Held]:
        """The issuers of the linked accounts and the clients that hold the tokens."""
        columns = link.c
        statement = (
            select(columns.issuer, columns.client_id, func.count())
            .where(columns.provider_id == provider_id, columns.state != LinkState.REVOKED)
            .group_by(columns.issuer, columns.client_id)
            .order_by(columns.issuer, columns.client_id)
        )
        with self._database.reading() as connection:
            return [Held(*row) for row in connection.execute(statement)]

    def clashes(self, one: ProviderId, other: ProviderId) -> Sequence[tuple[LinkId, LinkId]]:
        """Pairs of links, neither revoked, of one user to one account at both providers."""
        here, there = link.c, (aliased := link.alias("there")).c
        same = and_(here.user_id == there.user_id, here.issuer == there.issuer, here.subject == there.subject)
        statement = (
            select(here.id, there.id)
            .join_from(link, aliased, same)
            .where(
                here.provider_id == one,
                there.provider_id == other,
                here.state != LinkState.REVOKED,
                there.state != LinkState.REVOKED,
            )
            .order_by(here.id)
        )
        with self._database.reading() as connection:
            return [(LinkId(first), LinkId(second)) for first, second in connection.execute(statement)]

"""Links by the hundred, made by the store's own classes with grants of far providers: nobody has to walk a journey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import NullPool, RowMapping, create_engine, delete, insert, select, update

from support.far_provider import SCOPE, FarGrant, FarProvider
from support.keyed_callers import ISSUER
from support.passing import move_back
from tokenstore.config.loading import load
from tokenstore.core.model import Account, Asked, AuditEvent, Identity, LinkId, Profile, Provider, ProviderId, TokenSet
from tokenstore.core.ports import NewLink
from tokenstore.core.secret import Secret
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, prepare_engine
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.links import SqlLinkStore
from tokenstore.store.tables import access_token, audit_event, link, outbox
from tokenstore.vault.kek import EnvKek, parse_cryptokey
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault

HOUR = timedelta(hours=1)
_SCOPES = frozenset(SCOPE.split())
_PLAIN = Asked().variant
Rows = tuple[Sequence[RowMapping], Sequence[RowMapping]]
"""Rows of links, and of their access tokens."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """A link that was made: its id, the key with which its user calls, the provider and the account there."""

    id: LinkId
    key: str
    provider_id: str
    subject: str

    @property
    def path(self) -> str:
        """Where its token is asked for."""
        return f"/api/v1.0/{self.provider_id}/token"

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"X-Api-Key": self.key}


class Seeder:
    """Makes links in a store's database and looks into it from outside. Close it after use."""

    def __init__(self, settings: Mapping[str, object], far: Mapping[str, FarProvider]) -> None:
        loaded = load(settings, environ={})
        self._far = far
        self._providers: Mapping[str, Provider] = {provider.id: provider for provider in loaded.providers}
        self._engine = prepare_engine(create_engine(loaded.settings.sqlalchemy_database_uri, poolclass=NullPool))
        self.database = Database(self._engine)
        kek = EnvKek(parse_cryptokey(loaded.settings.cryptokey.reveal()))
        self.vault = Vault(lambda: Keyring.load(kek, SqlKeyStore(self.database)))
        self.links = SqlLinkStore(self.database, self.vault)

    def link(self, provider_id: str, count: int = 1, *, expired: bool = True) -> list[Seeded]:
        """New users with one link each; `expired`: their access tokens have ended, so that the next call refreshes."""
        return [self.attach(provider_id, grant, expired=expired) for grant in self._far[provider_id].grant(count)]

    def relink(self, seeded: Seeded) -> Seeded:
        """The same person links the same account again."""
        grant = self._far[seeded.provider_id].grant_again(seeded.subject)
        return self.attach(seeded.provider_id, grant, key=seeded.key)

    def attach(self, provider_id: str, grant: FarGrant, *, expired: bool = True, key: str | None = None) -> Seeded:
        """The link of a grant; of a new user, unless `key` says whose."""
        provider = self._providers[provider_id]
        user = Profile(Identity(ISSUER, key or grant.subject), "Somebody")
        account = Account(provider.issuer or self._far[provider_id].issuer, grant.subject, "Somebody")
        # Ended from the first moment, before time passes for it below: somebody may be asking all the time.
        lifetime = timedelta() if expired else HOUR
        tokens = TokenSet(Secret(f"first-{grant.subject}"), lifetime, Secret(grant.refresh_token), scopes=_SCOPES)
        event = AuditEvent("link.created", "success", user=user.identity)
        attached = self.links.attach(NewLink(user, provider, account, tokens, _SCOPES, monotonic()), event)
        if expired:
            # Not the whole link, which may be leased.
            with self.database.writing() as connection:
                # The link first, as the store does, so that nobody waits for another crosswise.
                connection.execute(update(link).where(link.c.id == attached.id).values(due_at=db_now()))
                move_back(connection, HOUR * 2, [access_token], access_token.c.link_id == attached.id)
        return Seeded(attached.id, user.identity.subject, provider_id, grant.subject)

    def expire(self, links: Iterable[Seeded]) -> None:
        """Let their access tokens end: two hours pass for these links alone."""
        self.pass_for(links, HOUR * 2)

    def pass_for(self, links: Iterable[Seeded], by: timedelta) -> None:
        """Let time pass for these links alone, at once."""
        ids = [one.id for one in links]
        with self.database.writing() as connection:
            move_back(connection, by, [link], link.c.id.in_(ids))
            move_back(connection, by, [access_token], access_token.c.link_id.in_(ids))

    def let_events_be_old(self, links: Iterable[Seeded]) -> None:
        """Let what the audit says of these links be of yesterday, so that it counts for no quarantine any more."""
        with self.database.writing() as connection:
            ids = [one.id for one in links]
            move_back(connection, timedelta(days=1), [audit_event], audit_event.c.link_id.in_(ids))

    def row(self, seeded: Seeded) -> RowMapping:
        """The link's row."""
        with self.database.reading() as connection:
            return connection.execute(select(link).where(link.c.id == seeded.id)).mappings().one()

    def rows(self, links: Iterable[Seeded]) -> Rows:
        """What the database has of these links, to be put back later."""
        ids = [one.id for one in links]
        with self.database.reading() as connection:
            of_links = connection.execute(select(link).where(link.c.id.in_(ids))).mappings().all()
            tokens = connection.execute(select(access_token).where(access_token.c.link_id.in_(ids))).mappings().all()
        return of_links, tokens

    def put_back(self, rows: Rows) -> None:
        """Make these links what they were, as a backup does."""
        of_links, tokens = rows
        ids = [row["id"] for row in of_links]
        with self.database.writing() as connection:
            connection.execute(delete(access_token).where(access_token.c.link_id.in_(ids)))
            for row in of_links:
                connection.execute(update(link).where(link.c.id == row["id"]).values(dict(row)))
            for row in tokens:
                connection.execute(insert(access_token).values(dict(row)))

    def is_leased(self, seeded: Seeded) -> bool:
        """Whether somebody refreshes the link now, or died of it not long ago."""
        until = self.row(seeded)["lease_until"]
        return until is not None and until > datetime.now(UTC)

    def token(self, seeded: Seeded) -> str | None:
        """The plain access token that the store has for the link, ended or not."""
        holding = self.links.read(Identity(ISSUER, seeded.key), ProviderId(seeded.provider_id), seeded.id, _PLAIN)
        return None if holding is None or holding.token is None else holding.token.value.reveal()

    def change(self, links: Iterable[Seeded], **values: Any) -> None:
        """Change rows of links, as time or an operator would."""
        with self.database.writing() as connection:
            connection.execute(update(link).where(link.c.id.in_([one.id for one in links])).values(values))

    def states(self, links: Iterable[Seeded]) -> dict[str, int]:
        """How many of these links are in which state."""
        counted: dict[str, int] = {}
        with self.database.reading() as connection:
            for state in connection.scalars(select(link.c.state).where(link.c.id.in_([one.id for one in links]))):
                counted[state] = counted.get(state, 0) + 1
        return counted

    def events(self, seeded: Seeded) -> list[str]:
        """What the audit says of the link, oldest first."""
        wanted = select(audit_event.c.action).where(audit_event.c.link_id == seeded.id).order_by(audit_event.c.at)
        with self.database.reading() as connection:
            return list(connection.scalars(wanted))

    def owed(self) -> int:
        """How many rows lie in the outbox."""
        with self.database.reading() as connection:
            return len(connection.execute(select(outbox.c.id)).all())

    def let_owed_be_due(self) -> None:
        """Let a day pass for what lies in the outbox, so that it is tried again."""
        with self.database.writing() as connection:
            move_back(connection, timedelta(days=1), [outbox])

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


@contextmanager
def seeder(settings: Mapping[str, object], far: Mapping[str, FarProvider]) -> Iterator[Seeder]:
    """A seeder of a store with these settings, whose tables are there."""
    made = Seeder(settings, far)
    try:
        yield made
    finally:
        made.close()

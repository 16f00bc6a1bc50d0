"""How providers stand in the database: which are in quarantine, and whose links were made with another client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import make_url

from tokenstore.cli.opening import open_database
from tokenstore.config import Examined, Settings
from tokenstore.core.model import Provider, ProviderId
from tokenstore.errors import TokenStoreError
from tokenstore.providers.findings import Finding, Verdict
from tokenstore.providers.settings import prefix
from tokenstore.store.engine import Database, with_driver
from tokenstore.store.provider_admin import ProviderAdmin
from tokenstore.store.quarantine import SqlQuarantine


@dataclass(frozen=True, slots=True)
class Standing:
    """What keeps links from being refreshed, by provider: since when it is in quarantine, and links by client."""

    quarantined: Mapping[ProviderId, datetime]
    clients: Mapping[ProviderId, Mapping[str, int]]

    @classmethod
    def read(cls, database: Database) -> Standing:
        """As it is now. Raises StorageUnavailable."""
        return cls(SqlQuarantine(database).quarantined(), ProviderAdmin(database).clients())

    def others(self, provider: Provider) -> int:
        """How many links were made with another client than the settings name now."""
        links = self.clients.get(provider.id, {})
        return sum(count for client_id, count in links.items() if client_id != provider.client_id)

    def in_words(self, provider_id: ProviderId, provider: Provider | None) -> str:
        """A field of a list: what has to be looked at, `-` where nothing has."""
        since = self.quarantined.get(provider_id)
        others = self.others(provider) if provider else 0
        said = [f"quarantined since {_shown(since)}"] if since else []
        said += [f"{others} linked with another client id"] if others else []
        return ", ".join(said) or "-"

    def findings(self, provider: Provider) -> Sequence[Finding]:
        """The same for a check, with the mends."""
        return list(self._findings(provider))

    def _findings(self, provider: Provider) -> Iterator[Finding]:
        if since := self.quarantined.get(provider.id):
            yield Finding(
                Verdict.WARNING,
                f"in quarantine since {_shown(since)}, so that no link of it breaks, and one a minute is tried",
                f"end it by flask tokenstore providers resume {provider.id} once the provider gives tokens again",
            )
        if others := self.others(provider):
            was = "1 link was" if others == 1 else f"{others} links were"
            start = prefix(provider.id)
            yield Finding(
                Verdict.WARNING,
                f"{was} made with another client id and cannot be refreshed",
                f"put the earlier one back into {start}CLIENT_ID, or let people link again",
            )


NOTHING_KNOWN = Standing({}, {})


def standing_of(seen: Examined) -> Standing:
    """What the database of these settings knows; nothing, and on standard error why, where it cannot be asked.

    Makes no database: where there is none yet, there is nothing to know.
    """
    if seen.problems or _is_missing(seen.settings):
        return NOTHING_KNOWN
    try:
        with open_database(seen.settings) as database:
            return Standing.read(database)
    except TokenStoreError as error:
        click.echo(f"whether a provider is in quarantine is not known: {error.detail} ({error.debug})", err=True)
        return NOTHING_KNOWN


def _is_missing(settings: Settings) -> bool:
    url = make_url(with_driver(settings.sqlalchemy_database_uri))
    if url.get_backend_name() != "sqlite":
        return False
    return not Path(settings.instance_path, url.database or "").is_file()


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

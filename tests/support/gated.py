"""The store with gates at the steps of a refresh: adapters of this composition root around the ports.

`support.gated:create_app()` is what Gunicorn serves in tests that stop or kill a process at a step.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import Connection, event
from typing_extensions import override

from support.gates import Gates, Step, from_environment
from tokenstore.app import assemble
from tokenstore.composing.adapters import Adapters, make_adapters
from tokenstore.composing.providers import Providers, make_providers
from tokenstore.config import Loaded, load
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import (
    AccessToken,
    Account,
    Asked,
    Attempt,
    AuditEvent,
    Lease,
    Link,
    LinkId,
    Outcome,
    Provider,
    RevocationResult,
    TokenSet,
)
from tokenstore.core.ports import CallbackIssuer, Identified, ProviderClient
from tokenstore.core.secret import Secret
from tokenstore.core.spool import LeftBehind, Spool, SpoolDepth, Spooled, SpoolPlace
from tokenstore.store.links import SqlLinkStore


class Saving(threading.local):
    """Whether this thread is saving what a refresh brought."""

    now: bool = False


class Lent(threading.local):
    """How many of the pool's connections this thread has."""

    count: int = 0

    def change(self, by: int) -> None:
        """One was taken or given back."""
        self.count += by


class GatedLinks(SqlLinkStore):
    """The link store with a gate before and after the commit of a refresh."""

    gates: Gates
    saving: Saving

    @override
    def save_refreshed(
        self,
        lease: Lease,
        provider: Provider,
        tokens: TokenSet,
        asked: Asked,
        elapsed: timedelta,
        event: AuditEvent,
    ) -> AccessToken | None:
        self.saving.now = True
        try:
            token = super().save_refreshed(lease, provider, tokens, asked, elapsed, event)
        finally:
            self.saving.now = False
        self.gates.come_to(Step.AFTER_COMMIT)
        return token


class GatedClient:
    """A provider client with a gate before a refresh is sent, and one after its answer came.

    No connection to the database may be held meanwhile.
    """

    def __init__(self, client: ProviderClient, gates: Gates, lent: Lent) -> None:
        self._client = client
        self._gates = gates
        self._lent = lent

    def refresh(
        self,
        provider: Provider,
        refresh_token: Secret,
        asked: Asked,
        granted: frozenset[str],
        account: Account | None = None,
    ) -> Outcome:
        if self._lent.count:
            self._gates.complain(f"{self._lent.count} connections held during a call")
        self._gates.come_to(Step.BEFORE_SEND)
        outcome = self._client.refresh(provider, refresh_token, asked, granted, account)
        self._gates.come_to(Step.AFTER_ANSWER)
        return outcome

    def authorization_url(self, provider: Provider, attempt: Attempt, hints: Mapping[str, str] | None = None) -> str:
        return self._client.authorization_url(provider, attempt, hints)

    def callback_issuer(self, provider: Provider) -> CallbackIssuer:
        return self._client.callback_issuer(provider)

    def exchange(self, provider: Provider, attempt: Attempt, code: Secret) -> Outcome:
        return self._client.exchange(provider, attempt, code)

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        return self._client.identify(provider, attempt, tokens)

    def revoke(self, provider: Provider, token: Secret) -> RevocationResult:
        return self._client.revoke(provider, token)

    def end_session_url(self, provider: Provider, id_token: Secret | None, return_to: str) -> str | None:
        return self._client.end_session_url(provider, id_token, return_to)


class GatedPlace:
    """Room in the spool with a gate before and after an answer is written."""

    def __init__(self, place: SpoolPlace, gates: Gates) -> None:
        self._place = place
        self._gates = gates

    def keep(self, spooled: Spooled) -> None:
        self._gates.come_to(Step.BEFORE_SPOOL)
        self._place.keep(spooled)
        self._gates.note(Step.AFTER_SPOOL)
        self._gates.come_to(Step.AFTER_SPOOL)

    def forget(self) -> None:
        self._place.forget()

    def close(self) -> None:
        self._place.close()


class GatedSpool:
    """A spool whose places have gates."""

    def __init__(self, spool: Spool, gates: Gates) -> None:
        self._spool = spool
        self._gates = gates

    def reserve(self, link: Link) -> SpoolPlace:
        return GatedPlace(self._spool.reserve(link), self._gates)

    def name(self) -> str:
        return self._spool.name()

    def ready(self) -> None:
        self._spool.ready()

    def left_behind(self, link_id: LinkId | None = None) -> Sequence[LeftBehind]:
        return self._spool.left_behind(link_id)

    def depth(self) -> SpoolDepth:
        return self._spool.depth()

    def tidy(self) -> None:
        self._spool.tidy()


def create_app() -> Flask:
    """The application over gated adapters; settings from the environment."""
    gates, lent = from_environment(), Lent()

    def adapters_of(app: Flask, loaded: Loaded) -> Adapters:
        adapters = make_adapters(app, loaded)
        links = GatedLinks(adapters.database, adapters.vault)
        links.gates, links.saving = gates, Saving()

        def before_commit(_connection: Connection) -> None:
            if links.saving.now:
                gates.come_to(Step.BEFORE_COMMIT)

        with app.app_context():
            engine: Any = app.extensions["sqlalchemy"].engine
        event.listen(engine, "commit", before_commit)
        event.listen(engine, "checkout", lambda *_: lent.change(1))
        event.listen(engine, "checkin", lambda *_: lent.change(-1))
        return replace(adapters, links=links, spool=GatedSpool(adapters.spool, gates))

    def providers_of(loaded: Loaded, metrics: Metrics) -> Providers:
        providers = make_providers(loaded, metrics)
        return replace(providers, client=GatedClient(providers.client, gates, lent))

    return assemble(load(), adapters_of, providers_of)

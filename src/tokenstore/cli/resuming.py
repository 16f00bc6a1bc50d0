"""`flask tokenstore providers resume` and `quarantine`: a provider is believed again, or not for now."""

from __future__ import annotations

from collections.abc import Callable

import click

from tokenstore.cli.failing import failure
from tokenstore.cli.opening import OpenStore, open_store
from tokenstore.core.model import AuditEvent, ProviderId
from tokenstore.errors import TokenStoreError
from tokenstore.store.provider_admin import ProviderAdmin
from tokenstore.store.quarantine import SqlQuarantine


@click.command()
@click.argument("provider_id", metavar="ID")
@click.option("--believe", is_flag=True, help="Never doubt its refusals of what it gave before now.")
def resume(provider_id: str, *, believe: bool) -> None:
    """End the quarantine of the provider ID.

    A provider that refuses many people's links at once is in quarantine: nobody has to link again because of its
    refusals, and one link a minute is tried, when somebody asks for its token. End it when the provider is as it should
    be. The links that it refused are tried again within minutes, and those that it refuses then are broken. If it
    refuses as many others, they are protected by another quarantine; use --believe if it will never take them again.
    """
    one = ProviderId(provider_id)
    event = AuditEvent("provider.resumed", "success", reason="believed" if believe else None, provider_id=one)
    with open_store() as store:
        lifted = _done(store, one, lambda quarantine: quarantine.lift(one, event, believe=believe))
    click.echo("resumed" if lifted else "was not in quarantine")


@click.command()
@click.argument("provider_id", metavar="ID")
def quarantine(provider_id: str) -> None:
    """Put the provider ID into quarantine, until it is resumed.

    No link of it breaks then, and one a minute is tried, when somebody asks for its token: for the time after the
    database was restored from a backup, or while the provider is known to refuse what it should not.
    """
    one = ProviderId(provider_id)
    event = AuditEvent("provider.quarantined", "success", provider_id=one)
    with open_store() as store:
        begun = _done(store, one, lambda quarantine: quarantine.begin(one, event))
    click.echo("quarantined" if begun else "was in quarantine")


def _done(store: OpenStore, one: ProviderId, work: Callable[[SqlQuarantine], bool]) -> bool:
    """What came of it, at a provider that is configured or has links."""
    try:
        known = {provider.id for provider in store.loaded.providers} | set(ProviderAdmin(store.database).links())
        quarantines = SqlQuarantine(store.database)
        if one not in known | set(quarantines.quarantined()):
            ids = ", ".join(sorted(known)) or "none at all"
            raise click.BadParameter(f"there is no provider {one!r}, only {ids}", param_hint="ID")
        return work(quarantines)
    except TokenStoreError as error:
        raise failure(error) from None

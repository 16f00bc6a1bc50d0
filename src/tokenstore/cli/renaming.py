"""`flask tokenstore providers rename`: a provider gets another id, and its links go along."""

from __future__ import annotations

from collections import Counter

import click

from tokenstore.cli.failing import failure
from tokenstore.cli.opening import OpenStore, open_store
from tokenstore.core.model import LOGIN_PROVIDER, Provider, ProviderId
from tokenstore.errors import TokenStoreError
from tokenstore.providers.findings import shown
from tokenstore.providers.settings import prefix
from tokenstore.store.provider_admin import ProviderAdmin
from tokenstore.store.renaming import Fate, Moved, ProviderRenaming

_GOOD = frozenset({Fate.MOVED, Fate.WAITING_MOVED, Fate.OWED_MOVED, Fate.SUPERSEDED})
_BECAUSE = {
    Fate.BUSY: "it is being refreshed or revoked; run this again",
    Fate.TAKEN: "the same account was linked under the new id meanwhile",
    Fate.UNREADABLE: "no key opens it; give back the earlier one in CRYPTOKEY and run this again",
}
_PROGRESS_EVERY = 500


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def rename(old: str, new: str, dry_run: bool) -> None:
    """Move everything of the provider OLD to the id NEW.

    Give the provider its new id in the settings first, and stop the store. Tokens are sealed anew for the new id,
    linkings under way are dropped. A run that was stopped is run again.

    Refused where NEW is another provider than the one that the links were made with, and where somebody has linked the
    same account under both ids. Exits with 1 if anything stays under OLD.
    """
    with open_store() as store:
        provider = _target(store, old, new)
        try:
            _look_ahead(ProviderAdmin(store.database), ProviderId(old), provider)
            renaming = ProviderRenaming(store.database, store.vault, ProviderId(old), provider.id)
            counts: Counter[Fate] = Counter()
            for moved in renaming.run(dry_run=dry_run):
                _tell(moved, counts)
        except TokenStoreError as error:
            raise failure(error, "What was moved stays so; run it again to go on.") from None
    if old in {one.id for one in store.loaded.providers}:
        click.echo(f"warning: TOKEN_PROVIDERS still names {old}, so accounts can be linked there; take it out")
    click.echo(f"the redirect URI to register now is {provider.redirect_uri}")
    click.echo(f"{'dry run, nothing changed: ' if dry_run else ''}{_summary(counts)}")
    if set(counts) - _GOOD:
        raise click.exceptions.Exit(1)


def _target(store: OpenStore, old: str, new: str) -> Provider:
    if LOGIN_PROVIDER in (old, new):
        raise click.UsageError(f"{LOGIN_PROVIDER} is the login provider and keeps its id")
    if old == new:
        raise click.UsageError("OLD and NEW are the same")
    found = next((one for one in store.loaded.providers if one.id == new), None)
    if found is None:
        start, old_start = prefix(ProviderId(new)), prefix(ProviderId(old))
        mend = f"write it there in place of {old}, and its settings as {start}… in place of {old_start}…"
        raise click.ClickException(f"TOKEN_PROVIDERS does not name {new}: {mend}")
    return found


def _look_ahead(admin: ProviderAdmin, old: ProviderId, provider: Provider) -> None:
    """Refuse what would lose links or send tokens to a stranger; warn of what makes them useless."""
    for held in admin.held(old):
        if held.issuer != provider.effective_issuer:
            raise click.ClickException(
                f"{held.links} of the links under {old} are to accounts of {shown(held.issuer)}, and {provider.id} is "
                f"{provider.effective_issuer}: that is another provider. Nothing was changed."
            )
        if held.client_id != provider.client_id:
            click.echo(
                f"warning: {held.links} of the links were made with the client {shown(held.client_id)}, and "
                f"{prefix(provider.id)}CLIENT_ID is another: they are refreshed again once people link anew"
            )
    clashes = admin.clashes(old, provider.id)
    for here, there in clashes:
        click.echo(f"link {here}: the same user has linked the same account under {provider.id}, too, as {there}")
    if clashes:
        raise click.ClickException("One of the two has to be unlinked first. Nothing was changed.")


def _tell(moved: Moved, counts: Counter[Fate]) -> None:
    counts[moved.fate] += 1
    if moved.fate in _BECAUSE:
        click.echo(f"{moved.id}: {moved.fate}: {_BECAUSE[moved.fate]}")
    if (done := counts.total()) % _PROGRESS_EVERY == 0:
        click.echo(f"{done} so far", err=True)


def _summary(counts: Counter[Fate]) -> str:
    parts = [f"{counts[fate]} {fate}" for fate in Fate if counts[fate] or fate is Fate.MOVED]
    return ", ".join(parts)

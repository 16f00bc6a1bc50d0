"""`flask tokenstore import-reference`: the refresh tokens of the reference implementation become links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from tokenstore.cli.failing import failure
from tokenstore.cli.opening import OpenStore, open_store
from tokenstore.core.importing import Fate, ReferenceImporter, Result
from tokenstore.core.model import Provider
from tokenstore.errors import TokenStoreError
from tokenstore.store.engine import with_driver
from tokenstore.store.importing import SqlLinkImports
from tokenstore.store.reference import ReferenceDatabase, missing_file
from tokenstore.vault.kek import parse_cryptokey
from tokenstore.vault.legacy import LegacyReader

_GOOD = frozenset({Fate.IMPORTED, Fate.RENEWED})
_PROGRESS_EVERY = 500


@click.command("import-reference", short_help="Make links of the reference implementation's refresh tokens.")
@click.argument("database_url", envvar="REFERENCE_DATABASE_URL")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--cryptokey-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the CRYPTOKEY of the reference, where it is not the store's.",
)
@click.option(
    "--provider",
    "renamed",
    multiple=True,
    metavar="OLD=NEW",
    help="The reference called a provider OLD that is NEW here. May be given several times.",
)
def import_reference(database_url: str, dry_run: bool, cryptokey_file: Path | None, renamed: tuple[str, ...]) -> None:
    """Import the refresh tokens in the database of the reference implementation as links.

    DATABASE_URL is its SQLAlchemy URL; it may stand in the environment instead, as REFERENCE_DATABASE_URL, where no
    list of processes shows it. Its rows are only read.

    Prints each row that is not imported, with the reason, then counts. A run that was stopped is run again; what is
    linked, refreshed or unlinked here is never replaced. Exits with 1 if a row could not be opened.
    """
    with open_store() as store, _opened(database_url) as source:
        importer = ReferenceImporter(
            _login_issuer(store),
            _providers(store, renamed),
            LegacyReader(_keys(store, cryptokey_file)).open,
            SqlLinkImports(store.database, store.vault),
            lambda: datetime.now(UTC),
        )
        try:
            counts = report(importer.run(source, dry_run=dry_run))
        except TokenStoreError as error:
            raise failure(error, "What was imported stays; run it again to go on.") from None
    click.echo(f"{'dry run, nothing stored: ' if dry_run else ''}{_summary(counts)}")
    if counts[Fate.UNREADABLE]:
        raise click.exceptions.Exit(1)


def _keys(store: OpenStore, file: Path | None) -> tuple[bytes, ...]:
    if file is None:
        return parse_cryptokey(store.loaded.settings.cryptokey.reveal())
    try:
        return parse_cryptokey(file.read_text(encoding="utf-8").removesuffix("\n"))
    except (OSError, ValueError) as error:
        reason = "it is no text" if isinstance(error, UnicodeError) else str(error)
        raise click.BadParameter(reason, param_hint="--cryptokey-file") from None


def _login_issuer(store: OpenStore) -> str:
    if store.loaded.login is None:
        raise click.ClickException("there is no login provider: set OIDC_DISCOVERY_URL, whose users the tokens are of")
    return store.loaded.login.effective_issuer


def _providers(store: OpenStore, renamed: Iterable[str]) -> Mapping[str, Provider]:
    """The providers by the names that the reference used."""
    here: dict[str, Provider] = {provider.id: provider for provider in store.loaded.providers}
    names = dict(here)
    taken: set[str] = set()
    for text in renamed:
        old, _, new = text.partition("=")
        if not old or new not in here or new in taken:
            raise click.BadParameter(f"{text}: write OLD=NEW, each NEW once, a provider here", param_hint="--provider")
        taken.add(new)
        if old != new:
            names.pop(new, None)
        names[old] = here[new]
    return names


@contextmanager
def _opened(url: str) -> Iterator[ReferenceDatabase]:
    try:
        missing = missing_file(url)
        engine = create_engine(with_driver(url), hide_parameters=True)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # The text of the error stays out: it may hold the URL with its password.
        raise click.BadParameter(
            f"no URL that can be used ({type(error).__name__})", param_hint="DATABASE_URL"
        ) from None
    if missing:
        raise click.BadParameter(f"there is no file {missing}", param_hint="DATABASE_URL")
    try:
        yield ReferenceDatabase(engine)
    finally:
        engine.dispose()


def report(results: Iterable[Result], every: int = _PROGRESS_EVERY) -> Counter[Fate]:
    """Print what is to be said of the rows, and on standard error how far it is; the count of each fate."""
    counts: Counter[Fate] = Counter()
    for result in results:
        counts[result.fate] += 1
        if result.fate not in _GOOD:
            because = f": {result.because}" if result.because else ""
            click.echo(f"row {result.row}, provider {result.provider!r}: {result.fate}{because}")
        if (done := counts.total()) % every == 0:
            click.echo(f"{done} rows so far", err=True)
    return counts


def _summary(counts: Counter[Fate]) -> str:
    parts = [f"{counts[fate]} {fate}" for fate in Fate if counts[fate] or fate is Fate.IMPORTED]
    rows = "1 row" if counts.total() == 1 else f"{counts.total()} rows"
    return f"{rows}: {', '.join(parts)}"

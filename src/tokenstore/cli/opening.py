"""For commands that need the database and the keys: both opened by the settings, with nothing served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from flask import Flask

from tokenstore.config import Loaded, Settings, load
from tokenstore.errors import ConfigError
from tokenstore.extensions import init_database
from tokenstore.store.engine import Database
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.patience import unhurried
from tokenstore.vault.kek import EnvKek, parse_cryptokey
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The settings, and what they open."""

    loaded: Loaded
    database: Database
    vault: Vault


@contextmanager
def open_store() -> Iterator[OpenStore]:
    """The store of the settings file and the environment; nothing is read yet. Ends the command if it cannot start."""
    try:
        loaded = load()
    except ConfigError as error:
        problems = "\n".join(f"problem: {problem}" for problem in error.problems)
        raise click.ClickException(f"the settings cannot be used\n{problems}") from None
    kek = EnvKek(parse_cryptokey(loaded.settings.cryptokey.reveal()))
    with unhurried(), open_database(loaded.settings) as database:
        yield OpenStore(loaded, database, Vault(lambda: Keyring.load(kek, SqlKeyStore(database))))


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database of settings that can be used; nothing is read yet."""
    app = Flask("tokenstore", static_folder=None, template_folder=None, instance_path=settings.instance_path)
    database = init_database(app, settings.sqlalchemy_database_uri, settings.sqlalchemy_engine_options)
    try:
        yield database
    finally:
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()

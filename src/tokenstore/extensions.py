"""The database as Flask extensions: Flask-SQLAlchemy makes the engine, Flask-Migrate the `flask db` commands.

Everything else uses the `Database` handed out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from tokenstore.store.engine import Database, engine_options, prepare_engine, with_driver
from tokenstore.store.sqlite_files import is_relative_file, make_folder
from tokenstore.store.tables import metadata

VERSION_TABLE = "tokenstore_version"
"""Where Alembic keeps our version; not its own name for it, under which the reference implementation keeps its."""


def init_database(app: Flask, uri: str, options: Mapping[str, Any] | None = None) -> Database:
    """Set up the application's database and its `flask db` commands; nothing is opened yet.

    uri: SQLAlchemy URL; a relative SQLite path lies in the instance folder, which is made then. options: arguments of
    `create_engine` that go before our defaults.
    """
    uri = with_driver(uri)
    app.config["SQLALCHEMY_DATABASE_URI"] = uri
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(uri, options)
    if is_relative_file(uri):
        make_folder(Path(app.instance_path))  # before Flask-SQLAlchemy makes it, open to everybody
    db = SQLAlchemy(metadata=metadata, add_models_to_shell=False)
    at_the_end = list(app.teardown_appcontext_funcs)
    db.init_app(app)
    # After each request it would look for a session of its own, which nobody ever opens.
    app.teardown_appcontext_funcs[:] = at_the_end
    Migrate(app, db, directory=migrations_directory(), version_table=VERSION_TABLE)
    with app.app_context():
        return Database(prepare_engine(db.engine))


def migrations_directory() -> str:
    """Where the migrations lie: beside the modules in an installed package, at the top of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "migrations"
    return str(installed if installed.is_dir() else package.parents[1] / "migrations")

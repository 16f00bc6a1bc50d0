"""How Alembic runs the migrations: against the application's own engine and metadata, one transaction for all."""

from typing import Literal

import click
from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import OperationalError

from tokenstore.store.base import Instant
from tokenstore.store.engine import SQLITE_BEGIN, reason_of
from tokenstore.store.patience import unhurried

_MIGRATION_LOCK = 0x746F6B656E  # any number that nobody else uses in this database

_db = current_app.extensions["migrate"].db


def render_item(kind: str, item: object, autogen_context: AutogenContext) -> str | Literal[False]:  # noqa: ARG001
    """Columns in a new revision without our own types: a migration must not change when the code does."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


_options = {
    **current_app.extensions["migrate"].configure_args,
    "target_metadata": _db.metadata,
    "render_item": render_item,
}


def run_offline() -> None:
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    context.configure(dialect_name=_db.engine.dialect.name, literal_binds=True, **_options)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the migrations; workers that do so at the same time take turns."""
    engine = _db.engine.execution_options(**{SQLITE_BEGIN: "BEGIN IMMEDIATE"})
    with unhurried(), connected(engine) as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            switch_foreign_keys(connection, on=False)
        try:
            context.configure(connection=connection, transactional_ddl=True, **_options)
            with context.begin_transaction():
                if not is_sqlite:
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                context.run_migrations()
        finally:
            if is_sqlite:
                switch_foreign_keys(connection, on=True)


def connected(engine: Engine) -> Connection:
    """A connection. Ends the command in a line, which never holds the password, if there is none to be had."""
    try:
        return engine.connect()
    except OperationalError as error:
        where = engine.url.host or engine.url.database
        said = f"the database at {where} cannot be reached: {reason_of(error)}; look at SQLALCHEMY_DATABASE_URI"
        raise click.ClickException(said) from None


def switch_foreign_keys(connection: Connection, *, on: bool) -> None:
    """Between transactions only: batch operations drop and make tables anew, which would cascade to their children."""
    connection.rollback()
    connection.connection.cursor().execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")


if context.is_offline_mode():
    run_offline()
else:
    run_online()

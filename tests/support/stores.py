"""The SQL stores on a database of the test's own, put together as the application does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, create_engine

from tokenstore.store.attempts import SqlAttemptStore
from tokenstore.store.audit import SqlAuditLog
from tokenstore.store.engine import Database, engine_options, prepare_engine
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.links import SqlLinkStore
from tokenstore.store.outbox import SqlOutbox
from tokenstore.store.quarantine import SqlQuarantine
from tokenstore.store.tables import metadata
from tokenstore.store.users import SqlUserStore
from tokenstore.store.waiting import SqlWaitingStore
from tokenstore.vault.kek import EnvKek
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault

TEST_KEY = b"a key for tests, never for use.."


@dataclass(frozen=True, slots=True)
class SqlStores:
    """Every store over one database; `engine` for looking into it."""

    engine: Engine
    database: Database
    vault: Vault
    users: SqlUserStore
    links: SqlLinkStore
    attempts: SqlAttemptStore
    audit: SqlAuditLog
    outbox: SqlOutbox
    waiting: SqlWaitingStore
    keys: SqlKeyStore
    quarantines: SqlQuarantine


@contextmanager
def open_database(url: str) -> Iterator[Engine]:
    """An engine set up as the application sets it up; disposed of afterwards."""
    engine = prepare_engine(create_engine(url, **engine_options(url)))
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def sql_stores(url: str) -> Iterator[SqlStores]:
    """The stores on an empty database, with its tables made."""
    with open_database(url) as engine:
        metadata.create_all(engine)
        yield stores_over(engine)


def stores_over(engine: Engine) -> SqlStores:
    """The stores on a database that has its tables."""
    database = Database(engine)
    keys = SqlKeyStore(database)
    vault = Vault(lambda: Keyring.load(EnvKek((TEST_KEY,)), keys))
    return SqlStores(
        engine,
        database,
        vault,
        SqlUserStore(database),
        SqlLinkStore(database, vault),
        SqlAttemptStore(database, vault),
        SqlAuditLog(database),
        SqlOutbox(database, vault),
        SqlWaitingStore(database, vault),
        keys,
        SqlQuarantine(database),
    )

"""The adapters: everything that speaks to the database, the vault over it, and where answers and sessions are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from flask import Flask

from tokenstore.config import Loaded, Settings
from tokenstore.core.spool import Spool
from tokenstore.extensions import VERSION_TABLE, init_database, migrations_directory
from tokenstore.identity.session_rows import SessionRows
from tokenstore.identity.session_store import SessionStore
from tokenstore.store.attempts import SqlAttemptStore
from tokenstore.store.audit import SqlAuditLog
from tokenstore.store.due import SqlDueLinks, SqlUsedLinks
from tokenstore.store.engine import Database
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.links import SqlLinkStore
from tokenstore.store.logins import SqlLoginStore
from tokenstore.store.outbox import SqlOutbox
from tokenstore.store.provider_facts import SqlProviderFacts
from tokenstore.store.purge import SqlPurge
from tokenstore.store.quarantine import SqlQuarantine
from tokenstore.store.schema import Schema
from tokenstore.store.spool import FileSpool
from tokenstore.store.user_admin import UserAdmin
from tokenstore.store.users import SqlUserStore
from tokenstore.store.waiting import SqlWaitingStore
from tokenstore.vault.kek import EnvKek, parse_cryptokey
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Adapters:
    """One for each port of the core that is about what is kept."""

    database: Database
    vault: Vault
    users: SqlUserStore
    links: SqlLinkStore
    due: SqlDueLinks
    used: SqlUsedLinks
    attempts: SqlAttemptStore
    waiting: SqlWaitingStore
    audit: SqlAuditLog
    outbox: SqlOutbox
    facts: SqlProviderFacts
    quarantines: SqlQuarantine
    perishables: SqlPurge
    spool: Spool
    sessions: SessionStore
    logins: SqlLoginStore
    people: UserAdmin
    schema: Schema


AdaptersOf = Callable[[Flask, Loaded], Adapters]


def make_adapters(app: Flask, loaded: Loaded) -> Adapters:
    """The adapters of these settings; nothing is opened yet."""
    settings = loaded.settings
    database = init_database(app, settings.sqlalchemy_database_uri, settings.sqlalchemy_engine_options)
    kek = EnvKek(parse_cryptokey(settings.cryptokey.reveal()))
    vault = Vault(lambda: Keyring.load(kek, SqlKeyStore(database)))
    idle, lifetime = timedelta(seconds=settings.session_idle), timedelta(seconds=settings.session_lifetime)
    return Adapters(
        database=database,
        vault=vault,
        users=SqlUserStore(database),
        links=SqlLinkStore(database, vault),
        due=SqlDueLinks(database, vault),
        used=SqlUsedLinks(database),
        attempts=SqlAttemptStore(database, vault),
        waiting=SqlWaitingStore(database, vault),
        audit=SqlAuditLog(database),
        outbox=SqlOutbox(database, vault),
        facts=SqlProviderFacts(database),
        quarantines=SqlQuarantine(database),
        perishables=SqlPurge(database),
        spool=FileSpool(Path(settings.spool_dir), vault),
        sessions=_sessions(settings, database, idle=idle, lifetime=lifetime),
        logins=SqlLoginStore(database, idle=idle, lifetime=lifetime),
        people=UserAdmin(database),
        schema=Schema(database, migrations_directory(), VERSION_TABLE),
    )


def _sessions(settings: Settings, database: Database, *, idle: timedelta, lifetime: timedelta) -> SessionStore:
    """Where browser sessions are kept."""
    if settings.session_type != "redis":
        return SessionRows(database, idle=idle, lifetime=lifetime)
    # Here, because the library is there only with the extra [redis].
    from tokenstore.identity.session_redis import RedisSessions

    return RedisSessions(settings.session_redis, idle=idle, lifetime=lifetime)

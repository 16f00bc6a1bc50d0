"""How the database is reached: engine set-up per dialect, and the only two ways in, reading and writing.

Also the one place where a driver's trouble becomes StorageUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from tokenstore.errors import StorageUnavailable
from tokenstore.store.hot_connections import HotConnections
from tokenstore.store.liveness import check_on_checkout
from tokenstore.store.sqlite_files import make_for_owner

_BUSY_TIMEOUT_MS = 5000
_CONNECT_TIMEOUT_S = 2
_POOL_TIMEOUT_S = 5
_POOL = {"pool_size": 5, "pool_recycle": 300}

# PostgreSQL's codes for an unknown table or column (migrations not run yet) and for lacking privileges; SQLite's
# driver calls all of these operational errors by itself.
_UNKNOWN_TABLE = "42P01"
_NO_TABLE = frozenset({_UNKNOWN_TABLE, "42703"})
_NO_TABLE_IN_SQLITE = ("no such table", "no such column")
_NOT_READY = _NO_TABLE | {"42501"}
# PostgreSQL's classes of codes whose text is about the server and never about a row: connections, who may log in, no
# such database, resources, shut down. Without a code it is the driver that could not connect, or was cut off.
_OF_THE_SERVER = ("08", "28", "3D", "53", "57")
_LONGEST_REASON = 300
SQLITE_BEGIN = "tokenstore_sqlite_begin"
"""Execution option of an engine or connection: the statement that begins a transaction on SQLite, empty for none."""


class Database:
    """The doors of an engine made ready by `prepare_engine`; safe to share between threads.

    `hot` holds connections for `hot_read`, beside the pool; they are closed when the engine is disposed of.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Statements that only read stand alone: on PostgreSQL autocommit spares them a BEGIN and a ROLLBACK, on
        # SQLite no transaction is begun for them, so that they never wait for a writer.
        alone = {SQLITE_BEGIN: ""} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        self._for_reading = engine.execution_options(**alone)
        # A transaction that reads first and writes later would be refused the lock without waiting for it.
        self._for_writing = engine.execution_options(**{SQLITE_BEGIN: "BEGIN IMMEDIATE"})
        self.hot = HotConnections(self.detached, engine.dialect.name)
        event.listen(engine, "engine_disposed", lambda _: self.hot.close())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for single reading statements, each seeing the latest committed state.

        Raises StorageUnavailable if the database cannot be used.
        """
        with _translated(), self._for_reading.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in one transaction, committed at the end of the block and rolled back by an exception.

        READ COMMITTED on PostgreSQL; on SQLite alone with the write lock from the start. Raises StorageUnavailable
        if the database cannot be used.
        """
        with _translated(), self._for_writing.begin() as connection:
            yield connection

    def detached(self) -> DBAPIConnection:
        """A driver's connection, set up as the pool does and no longer the pool's: the taker's to close.

        Raises StorageUnavailable if there is none to be had.
        """
        with _translated():
            try:
                lent = self._engine.raw_connection()
            except self.driver_error as error:  # SQLAlchemy hands it on as it is here
                raise OperationalError(None, None, error) from error
        lent.detach()
        return cast(DBAPIConnection, lent.dbapi_connection)  # None only after its return to the pool

    @property
    def dialect(self) -> Dialect:
        """What the database speaks."""
        return self._engine.dialect

    @property
    def driver_error(self) -> type[Exception]:
        """The base of all errors that the driver raises by itself."""
        return self._engine.dialect.loaded_dbapi.Error


def with_driver(uri: str) -> str:
    """A database URL with the driver that we bring along, where a PostgreSQL one names none."""
    scheme, separator, rest = uri.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme in {"postgres", "postgresql"} else uri


def engine_options(uri: str, configured: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments of `create_engine` for this database; what the operator configured goes before our defaults."""
    url, given = make_url(uri), dict(configured or {})
    options: dict[str, Any] = {}
    on_postgresql = url.get_backend_name() == "postgresql"
    if on_postgresql:
        options |= {"isolation_level": "READ COMMITTED", "connect_args": {"connect_timeout": _CONNECT_TIMEOUT_S}}
    # Other pools, such as that of SQLite in memory, take other arguments.
    if "poolclass" not in given and (on_postgresql or url.database not in (None, "", ":memory:")):
        options |= _POOL | ({"pool_timeout": _POOL_TIMEOUT_S} if on_postgresql else {})
    connect_args = {**options.pop("connect_args", {}), **given.pop("connect_args", {})}
    # Parameters hold personal data; no exception text may show them.
    return {**options, **given, "connect_args": connect_args, "hide_parameters": True}


def prepare_engine(engine: Engine) -> Engine:
    """Attach what each database needs of connections and at each BEGIN; call it once, before the first connection."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", make_for_owner)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        from tokenstore.store.impatient import Connector  # here, as psycopg is an extra

        event.listen(engine, "do_connect", Connector())
        check_on_checkout(engine)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # noqa: ARG001  (SQLAlchemy's)
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits on power loss
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get(SQLITE_BEGIN, "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise _unavailable(error) from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _NOT_READY:
            raise
        raise _unavailable(error) from error


def _unavailable(error: SQLAlchemyError) -> StorageUnavailable:
    mend = "a table or column is missing, run flask db upgrade" if lacks_something(error) else reason_of(error)
    return unavailable(_cause_of(error), mend)


def unavailable(cause: BaseException, mend: str) -> StorageUnavailable:
    """What callers are told of a database that cannot be used; `mend`: what operators are, may be empty."""
    debug = f"{type(cause).__name__}: {mend}" if mend else type(cause).__name__
    return StorageUnavailable("The database cannot be used at present. Ask again.", debug=debug)


def lacks_something(error: SQLAlchemyError) -> bool:
    """Whether a table or column is not there."""
    cause = _cause_of(error)
    return getattr(cause, "sqlstate", None) in _NO_TABLE or str(cause).startswith(_NO_TABLE_IN_SQLITE)


def lacks_a_table(error: SQLAlchemyError) -> bool:
    """Whether a table is not there."""
    cause = _cause_of(error)
    return getattr(cause, "sqlstate", None) == _UNKNOWN_TABLE or str(cause).startswith("no such table")


def reason_of(error: SQLAlchemyError) -> str:
    """What the driver says of a server or file that cannot be used, in one line for operators.

    Empty where its text may hold something of a row. It never holds the password.
    """
    cause = _cause_of(error)
    code = getattr(cause, "sqlstate", None)
    if not isinstance(error, OperationalError) or (code is not None and not code.startswith(_OF_THE_SERVER)):
        return ""
    return " ".join(str(cause).split())[:_LONGEST_REASON]


def _cause_of(error: SQLAlchemyError) -> BaseException:
    cause = error.orig if isinstance(error, DBAPIError) else None
    return cause or error


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)

"""How the database is reached: locks, transactions, and what a driver's trouble becomes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, NullPool, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from support.harness import in_parallel
from support.stores import open_database
from tokenstore.errors import StorageUnavailable
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database, engine_options, prepare_engine, with_driver
from tokenstore.store.tables import metadata, user_account


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with open_database(database_url) as engine:
        metadata.create_all(engine)
        yield engine


def user(subject: str = "ann", **columns: object) -> dict[str, object]:
    row = {"id": uuid4(), "issuer": "i", "subject": subject, "email_verified": False, "created_at": db_now()}
    return {**row, **columns}


def subjects(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(user_account.c.subject).order_by(user_account.c.subject)))


def test_an_instant_comes_back_to_the_millisecond(engine: Engine) -> None:
    database = Database(engine)
    instant = datetime(2026, 7, 1, 12, 30, 59, 123000, UTC)
    with database.writing() as connection:
        connection.execute(insert(user_account).values(user(created_at=instant + timedelta(microseconds=999))))
    with database.reading() as connection:
        assert connection.scalars(select(user_account.c.created_at)).one() == instant


def test_the_database_clock_is_the_present_in_utc(engine: Engine) -> None:
    with Database(engine).reading() as connection:
        now, later, earlier = connection.execute(
            select(db_now(), from_now(timedelta(hours=1)), from_now(timedelta(seconds=-90)))
        ).one()
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=2)
    assert abs(later - now - timedelta(hours=1)) < timedelta(seconds=1)
    assert abs(now - earlier - timedelta(seconds=90)) < timedelta(seconds=1)


def test_the_database_clock_moves_within_a_transaction(engine: Engine) -> None:
    with Database(engine).writing() as connection:
        first = connection.execute(select(db_now())).scalar_one()
        while connection.execute(select(db_now())).scalar_one() == first:
            pass


def test_an_exception_rolls_back(engine: Engine) -> None:
    database = Database(engine)

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(insert(user_account).values(user()))
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert subjects(database) == []


def test_readers_neither_wait_for_a_writer_nor_see_its_work(engine: Engine) -> None:
    database = Database(engine)
    with ThreadPoolExecutor(1) as other, database.writing() as connection:
        connection.execute(insert(user_account).values(user()))
        assert other.submit(subjects, database).result(timeout=2) == []
    assert subjects(database) == ["ann"]


def test_writers_that_read_first_take_turns(engine: Engine) -> None:
    database = Database(engine)

    def read_then_write(number: int) -> None:
        with database.writing() as connection:
            connection.execute(select(user_account.c.id)).all()
            connection.execute(insert(user_account).values(user(f"{number:02}")))

    in_parallel(10, read_then_write)
    assert subjects(database) == [f"{number:02}" for number in range(10)]


def test_a_broken_rule_is_an_error_of_ours_that_shows_no_values(engine: Engine) -> None:
    database = Database(engine)

    def insert_ann() -> None:
        with database.writing() as connection:
            connection.execute(insert(user_account).values(user("ann", name="known-name")))

    insert_ann()
    with pytest.raises(IntegrityError) as caught:
        insert_ann()
    assert "known-name" not in str(caught.value)


def test_a_database_that_is_not_there_is_storage_unavailable(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path / 'missing' / 'tokenstore.db'}",
        "postgresql+psycopg://nobody:known-password@127.0.0.1:1/none",
    ):
        database = Database(prepare_engine(create_engine(url, **engine_options(url))))
        with pytest.raises(StorageUnavailable) as caught, database.reading():
            pass
        assert "known-password" not in f"{caught.value} {caught.value.debug}"
        assert "unable to open" in caught.value.debug or "Connection refused" in caught.value.debug
        assert "\n" not in caught.value.debug


def test_a_database_that_cannot_be_written_is_storage_unavailable(engine: Engine) -> None:
    forbid = {"sqlite": "PRAGMA query_only = 1", "postgresql": "SET TRANSACTION READ ONLY"}[engine.dialect.name]

    def write() -> None:
        with Database(engine).writing() as connection:
            connection.execute(text(forbid))
            connection.execute(insert(user_account).values(user()))

    with pytest.raises(StorageUnavailable):
        write()


def test_a_database_without_tables_is_storage_unavailable(database_url: str) -> None:
    with open_database(database_url) as engine, pytest.raises(StorageUnavailable):
        subjects(Database(engine))


def test_an_exhausted_pool_is_storage_unavailable(sqlite_url: str) -> None:
    options = engine_options(sqlite_url, {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01})
    engine = prepare_engine(create_engine(sqlite_url, **options))
    database = Database(engine)
    with database.reading(), pytest.raises(StorageUnavailable), database.reading():
        pass
    engine.dispose()


def test_a_connection_that_the_server_ended_is_replaced(postgres_url: str) -> None:
    with open_database(postgres_url) as engine, open_database(postgres_url) as other:
        metadata.create_all(engine)
        database = Database(engine)
        with database.writing() as connection:
            ended = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with Database(other).writing() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ended})
        with database.writing() as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != ended


def test_sqlite_keeps_every_commit_and_checks_foreign_keys(sqlite_url: str) -> None:
    with open_database(sqlite_url) as engine, Database(engine).reading() as connection:
        settings = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in settings]
    assert found == ["wal", 2, 1, 5000]


def test_postgresql_is_read_committed(postgres_url: str) -> None:
    with open_database(postgres_url) as engine, Database(engine).writing() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"


def test_the_operators_engine_options_go_before_ours() -> None:
    url = "postgresql+psycopg://db.example/tokenstore"
    options = engine_options(url, {"pool_timeout": 1, "connect_args": {"sslmode": "require"}, "hide_parameters": False})
    assert (options["pool_timeout"], options["pool_size"], options["pool_recycle"]) == (1, 5, 300)
    assert options["connect_args"] == {"connect_timeout": 2, "sslmode": "require"}
    assert options["hide_parameters"] is True


def test_another_pool_gets_no_arguments_of_ours() -> None:
    options = engine_options("postgresql+psycopg://db.example/tokenstore", {"poolclass": NullPool})
    assert not options.keys() & {"pool_size", "pool_recycle", "pool_timeout"}
    assert options["isolation_level"] == "READ COMMITTED"


@pytest.mark.parametrize("database", ["", ":memory:"])
def test_sqlite_in_memory_has_a_pool_of_its_own(database: str) -> None:
    assert "pool_size" not in engine_options(f"sqlite:///{database}")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://user:p%40ss@host/name?a=b", "postgresql+psycopg://user:p%40ss@host/name?a=b"),
        ("postgres://host/name", "postgresql+psycopg://host/name"),
        ("postgresql+psycopg2://host/name", "postgresql+psycopg2://host/name"),
        ("sqlite:///postgresql://", "sqlite:///postgresql://"),
        ("postgresql", "postgresql"),
    ],
)
def test_postgresql_address_without_a_driver_gets_ours(given: str, used: str) -> None:
    assert with_driver(given) == used

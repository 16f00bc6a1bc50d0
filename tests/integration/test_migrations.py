"""The migrations: they make the tables of the metadata on both databases, and can be taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, insert, inspect, select

from support.harness import in_parallel
from support.stores import open_database
from tokenstore.extensions import VERSION_TABLE, init_database, migrations_directory
from tokenstore.store.tables import link, metadata, outbox, user_account


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    app = Flask("migrated", instance_path=str(tmp_path))
    init_database(app, database_url)
    with app.app_context():
        yield app
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with open_database(database_url) as engine:
        yield engine


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {VERSION_TABLE}


@pytest.mark.usefixtures("app")
def test_migrations_make_what_the_metadata_says(engine: Engine) -> None:
    upgrade()
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


@pytest.mark.usefixtures("app")
def test_constraints_of_migrations_and_metadata_agree(
    engine: Engine, database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    upgrade()
    other = f"sqlite:///{tmp_path / 'other.db'}"
    if database_url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        with server.database() as url, open_database(url) as made:
            metadata.create_all(made)
            assert rules(engine) == rules(made)
    else:
        with open_database(other) as made:
            metadata.create_all(made)
            assert rules(engine) == rules(made)


def rules(engine: Engine) -> dict[str, object]:
    """Checks, uniqueness, indexes and foreign keys of every table, as the database tells them."""
    found = inspect(engine)
    return {
        table: (
            sorted((c["name"] or "", c["sqltext"]) for c in found.get_check_constraints(table)),
            sorted((u["name"] or "", u["column_names"]) for u in found.get_unique_constraints(table)),
            sorted((i["name"] or "", i["column_names"], i["unique"], str(where(i))) for i in found.get_indexes(table)),
            sorted((f["name"] or "", f["referred_table"], str(f["options"])) for f in found.get_foreign_keys(table)),
        )
        for table in sorted(tables(engine))
    }


def where(index: object) -> object:
    assert isinstance(index, dict)
    options = index.get("dialect_options", {})
    return options.get("sqlite_where", options.get("postgresql_where"))


@pytest.mark.usefixtures("app")
def test_migrations_can_be_taken_back_and_made_again(engine: Engine) -> None:
    upgrade()
    made = tables(engine)
    assert made == set(metadata.tables)
    downgrade(revision="base")
    assert tables(engine) == set()
    upgrade()
    assert tables(engine) == made


@pytest.mark.usefixtures("app")
def test_what_is_owed_is_told_apart_and_kept(engine: Engine) -> None:
    upgrade(revision="0006")
    owed = {uuid4(): None, uuid4(): uuid4()}
    with engine.begin() as connection:
        user_id = uuid4()
        connection.execute(
            insert(user_account).values(
                id=user_id, issuer="i", subject="s", email_verified=False, created_at=datetime.now(UTC)
            )
        )
        for outbox_id, link_id in owed.items():
            if link_id is not None:
                connection.execute(insert(link).values(a_link(link_id, user_id)))
            connection.execute(insert(outbox).values(a_debt(outbox_id, link_id)))

    upgrade()

    assert kinds(engine) == {outbox_id: "revoke" if link_id else "stray" for outbox_id, link_id in owed.items()}
    downgrade(revision="0006")
    assert kinds(engine) == dict.fromkeys(owed, "revoke")


def kinds(engine: Engine) -> dict[UUID, str]:
    with engine.connect() as connection:
        return {row.id: row.kind for row in connection.execute(select(outbox.c.id, outbox.c.kind))}


def a_link(link_id: UUID, user_id: UUID) -> dict[str, object]:
    names = ("provider_id", "client_id", "issuer", "subject", "scopes_requested", "scopes_granted")
    return {
        **dict.fromkeys(names, "x"),
        "id": link_id,
        "user_id": user_id,
        "account_email_verified": False,
        "is_default": False,
        "state": "revoked",
        "version": 1,
        "fail_count": 0,
        "linked_at": datetime.now(UTC),
    }


def a_debt(outbox_id: UUID, link_id: UUID | None) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "id": outbox_id,
        "kind": "revoke",
        "link_id": link_id,
        "provider_id": "x",
        "client_id": "x",
        "sealed": b"",
        "attempts": 0,
        "next_try_at": now,
        "give_up_at": now,
    }


def test_upgrade_leaves_sqlite_in_wal_mode_with_foreign_keys_on(sqlite_url: str, tmp_path: Path) -> None:
    app = Flask("migrated", instance_path=str(tmp_path))
    database = init_database(app, sqlite_url)
    with app.app_context():
        upgrade()
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def test_flask_db_upgrade_works_from_any_directory_for_two_at_once(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(
        "from flask import Flask\n"
        "from tokenstore.extensions import init_database\n"
        "app = Flask(__name__)\n"
        f"init_database(app, {database_url!r})\n"
    )
    source = str(Path(migrations_directory()).parent / "src")
    command = [sys.executable, "-m", "flask", "--app", "small", "db", "upgrade"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{source}{os.pathsep}{tmp_path}"}

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    for done in in_parallel(2, run):
        assert done.returncode == 0, done.stderr
    with open_database(database_url) as engine:
        assert tables(engine) == set(metadata.tables)

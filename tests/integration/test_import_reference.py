"""`flask tokenstore import-reference` over databases as the reference leaves them: what it says and when it stops."""

from __future__ import annotations

from pathlib import Path

import flask_migrate
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import func, select

from demo.store import environment
from support.reference import OTHER_KEY, REFERENCE_KEY, Reference, alembic_version, fernet, refresh_token
from support.settings import good_settings, token_provider
from tokenstore.cli import group
from tokenstore.cli.importing import report
from tokenstore.core.importing import Fate
from tokenstore.core.importing import Result as RowResult
from tokenstore.extensions import init_database
from tokenstore.store.tables import audit_event, link


@pytest.fixture
def settings(reference: Reference, tmp_path: Path) -> dict[str, object]:
    """The settings of a store in the same database as the reference, with its key and two of its providers."""
    found = good_settings(
        **token_provider("idp1"),
        **token_provider("idp2"),
        TOKEN_PROVIDERS="idp1, idp2",
        CRYPTOKEY=f"{OTHER_KEY},{REFERENCE_KEY}",
        SQLALCHEMY_DATABASE_URI=reference.url,
        INSTANCE_PATH=str(tmp_path),
    )
    app = Flask("migrated", instance_path=str(tmp_path))
    init_database(app, reference.url)
    with app.app_context():
        flask_migrate.upgrade()
        app.extensions["sqlalchemy"].engine.dispose()
    return found


def run(settings: dict[str, object], *arguments: str) -> Result:
    return CliRunner().invoke(group, ["import-reference", *arguments], env=environment(settings))


def count(reference: Reference, table: object) -> int:
    with reference.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def test_rows_become_links_and_the_others_are_reported(reference: Reference, settings: dict[str, object]) -> None:
    reference.add("ann", "idp1", fernet("older", at=1_700_000_000))
    reference.add("ann", "idp1", fernet("newer"))
    reference.add("ann", "idp2", fernet("under the first key", OTHER_KEY))
    reference.add("bob", "idp1", fernet("lost", "00ff" * 16))
    reference.add("bob", "gone")
    reference.add(None, "idp1")
    reference.add("bob", "idp2", expires_at=1_700_000_000.5)

    done = run(settings, reference.url)

    assert sorted(done.output.splitlines()) == [
        "7 rows: 2 imported, 1 older-duplicate, 1 expired, 1 incomplete, 1 unknown-provider, 1 unreadable",
        "row 1, provider 'idp1': older-duplicate: another row of this user is newer",
        "row 4, provider 'idp1': unreadable: no key opens it: the key it was sealed with is missing, or it was changed",
        "row 5, provider 'gone': unknown-provider: TOKEN_PROVIDERS does not name it",
        "row 6, provider 'idp1': incomplete: it has no provider, no user or no token",
        "row 7, provider 'idp2': expired: since 2023-11-14",
    ]
    assert done.exit_code == 1
    assert (count(reference, link), count(reference, audit_event)) == (2, 2)


def test_second_run_imports_nothing_twice(reference: Reference, settings: dict[str, object]) -> None:
    for user in ("ann", "bob", "cid"):
        reference.add(user)
    run(settings, reference.url)
    reference.add("dan")

    again = run(settings, reference.url)

    assert again.exit_code == 0
    assert again.output.splitlines()[-1] == "4 rows: 1 imported, 3 already-imported"
    assert count(reference, link) == 4


def test_run_that_was_stopped_goes_on(reference: Reference, settings: dict[str, object]) -> None:
    for user in ("ann", "bob"):
        reference.add(user)
    run(settings, reference.url)
    with reference.engine.begin() as connection:
        connection.execute(link.delete().where(link.c.subject == "bob"))

    assert run(settings, reference.url).output.splitlines()[-1] == "2 rows: 1 imported, 1 already-imported"


def test_dry_run_foretells_the_run_and_stores_nothing(reference: Reference, settings: dict[str, object]) -> None:
    reference.add("ann", "idp1", fernet("older", at=1_700_000_000))
    reference.add("ann")
    reference.add("bob", "gone")

    foretold = run(settings, "--dry-run", reference.url)

    assert count(reference, link) == 0
    assert foretold.output == run(settings, reference.url).output.replace("3 row", "dry run, nothing stored: 3 row")


def test_rows_of_the_reference_are_left_alone(reference: Reference, settings: dict[str, object]) -> None:
    reference.add("ann")
    run(settings, reference.url)

    assert count(reference, refresh_token) == 1


def test_provider_of_another_name_is_found_by_option(reference: Reference, settings: dict[str, object]) -> None:
    reference.add("ann", "IDP-One")

    assert run(settings, "--provider", "IDP-One=idp1", reference.url).output == "1 row: 1 imported\n"


@pytest.mark.parametrize("option", ["idp1", "=idp1", "old=unknown"])
def test_odd_provider_option_is_refused(reference: Reference, settings: dict[str, object], option: str) -> None:
    done = run(settings, "--provider", option, reference.url)

    assert (done.exit_code, "write OLD=NEW" in done.output) == (2, True)


def test_key_of_the_reference_may_be_given_apart(
    reference: Reference, settings: dict[str, object], tmp_path: Path
) -> None:
    reference.add("ann", token=fernet("sealed", "11" * 32))
    (tmp_path / "old").write_text("11" * 32 + "\n")

    done = run(settings, "--cryptokey-file", str(tmp_path / "old"), reference.url)

    assert done.output == "1 row: 1 imported\n"


def test_file_without_a_key_is_refused_without_showing_it(
    reference: Reference, settings: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "old").write_text("hush")

    done = run(settings, "--cryptokey-file", str(tmp_path / "old"), reference.url)

    assert (done.exit_code, "hush" in done.output) == (2, False)


def test_report_shows_neither_tokens_nor_people(reference: Reference, settings: dict[str, object]) -> None:
    for provider in ("idp1", "gone"):
        reference.add("ann-the-person", provider, fernet("hush"))
        reference.add("ann-the-person", provider, fernet("hush", "00ff" * 16))

    output = run(settings, reference.url).output

    assert "ann-the-person" not in output
    assert "hush" not in output
    assert "gAAAA" not in output


def test_url_may_stand_in_the_environment(
    reference: Reference, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERENCE_DATABASE_URL", reference.url)

    assert run(settings).output == "0 rows: 0 imported\n"


@pytest.mark.parametrize("url", ["no url", "postgresql+nothing://u:hush@127.0.0.1/x", "sqlite:////nowhere/hush.db"])
def test_url_that_cannot_be_used_is_refused(settings: dict[str, object], url: str) -> None:
    done = run(settings, url)

    assert done.exit_code in {1, 2}
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "u:hush" not in done.output


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("other (id INTEGER)", "there is no table refresh_token, so it is not the reference's"),
        ("refresh_token (id INTEGER, token TEXT)", "its table refresh_token lacks one of id, provider, token,"),
    ],
)
def test_database_of_something_else_is_told_apart(
    reference: Reference, settings: dict[str, object], table: str, told: str
) -> None:
    refresh_token.drop(reference.engine)
    with reference.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table}")

    done = run(settings, reference.url)

    assert done.exit_code == 1
    assert f"The reference's database cannot be read. ({told}" in done.output


def test_database_that_is_not_reached_is_told_without_its_password(settings: dict[str, object]) -> None:
    done = run(settings, "postgresql+psycopg://me:known-password@127.0.0.1:9/reference")

    assert done.exit_code == 1
    assert "Connection refused" in done.output
    assert "known-password" not in done.output


def test_store_without_its_tables_is_told(reference: Reference, settings: dict[str, object], tmp_path: Path) -> None:
    reference.add("ann")
    empty = {**settings, "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'other.db'}"}

    done = run(empty, reference.url)

    assert done.exit_code == 1
    assert "run it again" in done.output


def test_settings_that_cannot_be_used_are_told(reference: Reference, settings: dict[str, object]) -> None:
    done = run({**settings, "SECRET_KEY": ""}, reference.url)

    assert done.exit_code == 1
    assert "problem: SECRET_KEY is missing" in done.output


def test_progress_is_told_while_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    counts = report((RowResult(row, "idp1", Fate.IMPORTED) for row in range(5)), every=2)

    assert counts == {Fate.IMPORTED: 5}
    assert capsys.readouterr().err == "2 rows so far\n4 rows so far\n"


def test_migrations_leave_the_version_of_the_reference(reference: Reference, settings: dict[str, object]) -> None:
    run(settings, reference.url)

    with reference.engine.connect() as connection:
        assert connection.scalars(select(alembic_version)).all() == ["a07e67c00e84"]

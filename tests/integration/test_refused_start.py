"""What an operator reads when the settings are wrong, or the tables not made: words, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.store import environment, own_settings
from support.local_store import make_app
from support.settings import good_settings
from tokenstore import create_app
from tokenstore.errors import ConfigError

FLASK = [sys.executable, "-m", "flask", "--app", "tokenstore"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "tokenstore:create_app()"]


def run(command: list[str], home: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    env = environment({"INSTANCE_PATH": str(home), **settings})
    return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize(
    "command",
    [[*FLASK, "run", "--port", "0"], [*FLASK, "db", "upgrade"], GUNICORN],
    ids=["flask run", "flask db upgrade", "gunicorn"],
)
def test_wrong_settings_end_a_command_with_every_problem_and_no_traceback(command: list[str], tmp_path: Path) -> None:
    done = run(command, tmp_path, PUBLIC_URL="nowhere", CRYPTOKEY="")

    assert done.returncode != 0
    assert "problems in the settings:" in done.stderr
    assert "  - PUBLIC_URL is no address" in done.stderr
    assert "  - CRYPTOKEY is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_that_gives_the_settings_gets_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TOKENSTORE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError):
        create_app({"PUBLIC_URL": "nowhere"})


def test_tables_that_are_not_made_are_told_with_the_mend(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(good_settings(INSTANCE_PATH=str(tmp_path)))

    answer = app.test_client().get("/readyz", base_url="https://store.example.org")

    assert (answer.status_code, answer.json) == (503, {"ready": False, "failed": ["database", "keys"]})
    told = [vars(record).get("debug", "") for record in caplog.records]
    assert any("run flask db upgrade" in debug for debug in told)


def test_tables_of_an_older_version_are_told_with_the_mend(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = f"sqlite:///{tmp_path / 'store.sqlite'}"
    done = run([*FLASK, "db", "upgrade", "0001"], tmp_path, **{**good_settings(), "SQLALCHEMY_DATABASE_URI": database})
    assert done.returncode == 0, done.stderr
    app = make_app(good_settings(INSTANCE_PATH=str(tmp_path), SQLALCHEMY_DATABASE_URI=database))

    answer = app.test_client().get("/readyz", base_url="https://store.example.org")

    assert answer.status_code == 503
    assert "database" in answer.get_json()["failed"]
    told = [vars(record).get("debug", "") for record in caplog.records]
    assert "the tables are at migration 0001: run flask db upgrade" in told


def test_a_database_that_is_not_reached_is_told_in_a_line_with_its_host_and_no_password(tmp_path: Path) -> None:
    database = "postgresql+psycopg://store:known-password@127.0.0.1:9/store"
    done = run([*FLASK, "db", "upgrade"], tmp_path, **{**good_settings(), "SQLALCHEMY_DATABASE_URI": database})

    assert done.returncode == 1
    [told] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert told.startswith("Error: the database at 127.0.0.1 cannot be reached: ")
    assert "Connection refused" in told
    assert told.endswith("look at SQLALCHEMY_DATABASE_URI")
    assert "known-password" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["users list", "providers list", "providers resume idp1"])
def test_commands_say_what_the_database_lacks(command: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    settings = {**good_settings(), "SQLALCHEMY_DATABASE_URI": database}
    done = run([*FLASK, "tokenstore", *command.split()], tmp_path, **settings)

    assert done.returncode == 1
    assert "a table or column is missing, run flask db upgrade" in done.stderr


def test_the_database_of_a_store_is_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "instance"
    settings = {**own_settings("http://127.0.0.1:5000", "sqlite:///tokenstore.sqlite"), "INSTANCE_PATH": str(home)}
    settings["DEVELOPMENT"] = True
    done = run([*FLASK, "db", "upgrade"], tmp_path, **settings)
    assert done.returncode == 0, done.stderr

    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}

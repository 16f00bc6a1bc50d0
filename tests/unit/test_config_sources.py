"""Settings file, environment, files with secrets: what wins and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.settings import good_settings
from tokenstore.config import Examined, examine
from tokenstore.core.secret import Secret


def environment(**values: str) -> dict[str, str]:
    return {f"TOKENSTORE_{name}": value for name, value in values.items()}


def with_file(path: Path, text: str, **environ: str) -> Examined:
    path.write_text(text)
    return examine(good_settings(), environment(SETTINGS=str(path), **environ))


def test_settings_file_of_any_extension_is_read(tmp_path: Path) -> None:
    found = with_file(tmp_path / "store.cfg", "import os\nWAIT_SECONDS = 2 + 3\nlower = 1\n")
    assert found.settings.wait_seconds == 5
    assert found.warnings == ()


def test_environment_wins_over_the_settings_file(tmp_path: Path) -> None:
    assert with_file(tmp_path / "a.py", "WAIT_SECONDS = 5", WAIT_SECONDS="6").settings.wait_seconds == 6


def test_relative_settings_file_is_looked_for_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.py").write_text("PROXY_HOPS = 2")
    assert examine(good_settings(), environment(SETTINGS="here.py")).settings.proxy_hops == 2


def test_relative_settings_file_is_found_at_the_top_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = examine({"INSTANCE_PATH": str(tmp_path)}, environment(SETTINGS="settings.py"))
    assert found.problems == ()
    assert found.settings.development is True


def test_a_development_that_is_refused_names_where_it_was_set() -> None:
    (problem,) = examine(good_settings(), environment(SETTINGS="settings.py")).problems
    assert "take out DEVELOPMENT (from file settings.py, which TOKENSTORE_SETTINGS names)" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X = 1\nY = = 2\n", "SyntaxError in line 2"),
        ("X = 1\n\nKEY = int('hush')\n", "ValueError in line 3"),
        ("open('/nowhere/at/all')\n", "FileNotFoundError in line 1"),
    ],
)
def test_settings_file_that_fails_is_one_problem_that_quotes_nothing(tmp_path: Path, text: str, words: str) -> None:
    (problem,) = with_file(tmp_path / "a.py", text).problems
    assert words in problem
    assert "hush" not in problem


def test_missing_settings_file_is_a_problem() -> None:
    (problem,) = examine(good_settings(), environment(SETTINGS="nowhere.py")).problems
    assert problem.startswith("TOKENSTORE_SETTINGS names nowhere.py, which is no file")


def test_secret_is_read_from_its_file_without_the_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("line one\nline two with a space \n")
    found = examine(good_settings(SECRET_KEY=None), environment(SECRET_KEY_FILE=str(tmp_path / "key")))
    assert found.problems == ()
    assert found.settings.secret_key == Secret("line one\nline two with a space ")


def test_provider_secret_and_database_address_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("from-file")
    (tmp_path / "b").write_text("sqlite:///from-file")
    environ = environment(OIDC_CLIENT_SECRET_FILE=str(tmp_path / "a"), SQLALCHEMY_DATABASE_URI_FILE=str(tmp_path / "b"))
    found = examine(good_settings(OIDC_CLIENT_SECRET=None), environ)
    assert found.settings.sqlalchemy_database_uri == "sqlite:///from-file"
    assert found.login is not None
    assert found.login.client_secret == Secret("from-file")


def test_unreadable_secret_file_is_the_only_problem() -> None:
    changes = {"SECRET_KEY": None, "OIDC_CLIENT_SECRET": None}
    files = environment(SECRET_KEY_FILE="/nowhere/key", OIDC_CLIENT_SECRET_FILE="/nowhere/secret")
    found = examine(good_settings(**changes), files)
    assert [problem.split(":")[0] for problem in found.problems] == [
        "SECRET_KEY cannot be read from /nowhere/key",
        "OIDC_CLIENT_SECRET cannot be read from /nowhere/secret",
    ]


def test_overridden_secret_file_need_not_be_there() -> None:
    assert examine(good_settings(), environment(SECRET_KEY_FILE="/nowhere/key")).problems == ()


def test_secret_and_its_file_in_one_place_are_a_problem() -> None:
    found = examine(good_settings(SECRET_KEY=None), environment(SECRET_KEY="x" * 20, SECRET_KEY_FILE="/nowhere"))
    assert found.problems == ("SECRET_KEY and SECRET_KEY_FILE are both set: take one out",)


def test_empty_variables_count_as_not_set(tmp_path: Path) -> None:
    empty = environment(OIDC_DISCOVERY_URL="", OIDC_CLIENT_ID="", OIDC_CLIENT_SECRET_FILE="", SECRET_KEY="")
    found = examine({"DEVELOPMENT": True, "INSTANCE_PATH": str(tmp_path)}, empty, make_keys=True)
    assert found.problems == ()
    assert found.login is None
    assert found.settings.secret_key


@pytest.mark.parametrize("name", ["TOKENSTORE_URL", "TOKENSTORE_TOKEN", "HOME", "tokenstore_public_url"])
def test_variables_of_others_are_passed_over(name: str) -> None:
    assert examine(good_settings(), {name: "x"}).warnings == ()

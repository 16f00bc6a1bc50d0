"""`flask tokenstore config …` and `--version` answer where the store itself would not start."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest
from click.testing import CliRunner, Result

from support.settings import good_settings, token_provider
from tokenstore.cli import group


def run(monkeypatch: pytest.MonkeyPatch, command: str, settings: dict[str, object]) -> Result:
    for name in [name for name in os.environ if name.startswith("TOKENSTORE_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"TOKENSTORE_{name}", str(value))
    return CliRunner().invoke(group, ["config", command])


def test_check_is_content_with_good_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, "check", good_settings())
    assert (result.exit_code, result.output) == (0, "0 problems, 0 warnings\n")


def test_check_lists_problems_and_warnings_and_exits_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, "check", good_settings(CRYPTOKEY=None, WAIT_SECOND="3"))
    assert result.exit_code == 1
    assert "problem: CRYPTOKEY is missing" in result.output
    assert "warning: TOKENSTORE_WAIT_SECOND is no setting: did you mean WAIT_SECONDS?" in result.output


def test_show_tells_values_and_where_they_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"PRESET": "github", "DISCOVERY_URL": None}
    settings = good_settings(**token_provider("hub", **plain), TOKEN_PROVIDERS="hub", WAIT_SECONDS=3)
    lines = [" ".join(line.split()) for line in run(monkeypatch, "show", settings).output.splitlines()]
    assert "WAIT_SECONDS 3 (environment)" in lines
    assert "PROXY_HOPS 0 (default)" in lines
    assert "HUB_SUBJECT_FIELD id (preset github)" in lines
    assert "OIDC_AUDIENCE store (default)" in lines


def test_show_masks_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "SECRET_KEY": "hush-secret-key-hush",
        "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://me:hush@db/store",
        "SQLALCHEMY_ENGINE_OPTIONS": '{"connect_args": {"password": "hush"}}',
        "OIDC_CLIENT_SECRET": "hush",
    }
    output = run(monkeypatch, "show", good_settings(**secrets)).output
    assert "hush" not in output
    assert output.count("•••") == 5


def test_show_works_where_there_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, "show", good_settings(PUBLIC_URL="nowhere"))
    assert result.exit_code == 0
    assert "1 problem, see" in result.output


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(group, ["--version"]).output == f"tokenstore {version('tokenstore')}\n"

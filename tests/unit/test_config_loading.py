"""Settings that can be used, and everything said when they cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.settings import CRYPTOKEY, good_settings, token_provider
from tokenstore.config import Examined, examine, load
from tokenstore.core.secret import Secret
from tokenstore.errors import ConfigError


def look(config: Mapping[str, object]) -> Examined:
    return examine(config, {})


def development(folder: Path, **changes: object) -> dict[str, object]:
    return {"DEVELOPMENT": True, "INSTANCE_PATH": str(folder), **changes}


def test_good_settings_load_without_a_warning() -> None:
    loaded = load(good_settings(**token_provider("idp1"), TOKEN_PROVIDERS="idp1"), {})
    assert loaded.warnings == ()
    assert loaded.login is not None
    assert loaded.login.redirect_uri == "https://store.example.org/api/oidc/redirect_uri"
    assert [one.redirect_uri for one in loaded.providers] == ["https://store.example.org/api/v1.0/idp1/redirect_uri"]


def test_nothing_given_names_everything_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {})
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "PUBLIC_URL",
        "SECRET_KEY",
        "CRYPTOKEY",
        "OIDC_DISCOVERY_URL,",
    ]


def test_public_url_with_a_path_is_kept_without_its_last_slash() -> None:
    loaded = load(good_settings(PUBLIC_URL="https://example.org/store/"), {})
    assert loaded.settings.public_url == "https://example.org/store"
    assert loaded.login is not None
    assert loaded.login.redirect_uri == "https://example.org/store/api/oidc/redirect_uri"


@pytest.mark.parametrize(
    "url",
    [
        "store.example.org",
        "http://store.example.org",
        "https://Store.example.org",
        "https://store.example.org:443",
        "https://me@store.example.org",
        "https://store.example.org/?a=b",
        "https://store.example.org/a//b",
        "https://store.example.org/../b",
        "ftp://store.example.org",
    ],
)
def test_odd_public_url_is_refused(url: str) -> None:
    problems = look(good_settings(PUBLIC_URL=url)).problems
    assert [problem.split()[0] for problem in problems] == ["PUBLIC_URL"]


@pytest.mark.parametrize("name", ["RETURN_URL_ORIGINS", "CORS_ORIGINS"])
@pytest.mark.parametrize("origin", ["*", "null", "https://*.example.org", "https://example.org/", "http://example.org"])
def test_origin_that_is_none_is_refused(name: str, origin: str) -> None:
    problems = look(good_settings(**{name: ["https://app.example.org", origin]})).problems
    assert [problem.startswith(f"{name} holds {origin!r}") for problem in problems] == [True]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 16 characters"),
        ({"CRYPTOKEY": "not-a-key"}, "CRYPTOKEY cannot be used"),
        ({"CRYPTOKEY": "00" * 32}, "CRYPTOKEY is weak"),
        ({"CRYPTOKEY": f"{CRYPTOKEY},{CRYPTOKEY}"}, "CRYPTOKEY is weak: entry 2 repeats"),
        ({"SESSION_TYPE": "cachelib"}, "SESSION_TYPE cachelib unpickles"),
        ({"SESSION_TYPE": "mongodb"}, "SESSION_TYPE mongodb is not served"),
        ({"SESSION_TYPE": "redis"}, "SESSION_REDIS is missing"),
        ({"SESSION_TYPE": "redis", "SESSION_REDIS": "redis.example.org"}, "SESSION_REDIS is no address of a Redis"),
        ({"SESSION_TYPE": "redis", "SESSION_REDIS": 17}, "SESSION_REDIS has to be text"),
        ({"SESSION_IDLE": 7200, "SESSION_LIFETIME": 3600}, "SESSION_IDLE is longer"),
        ({"WAIT_SECONDS": 11}, "WAIT_SECONDS is 11: the most is 10"),
        ({"CA_BUNDLE": "/nowhere/ca.pem"}, "CA_BUNDLE names /nowhere/ca.pem"),
        ({"OIDC_CLIENT_SECRET": None}, "OIDC_CLIENT_SECRET is missing"),
        ({"DEVELOPMENT": True}, "DEVELOPMENT is refused where PUBLIC_URL is not this machine"),
        ({"TOKEN_PROVIDERS": "idp1"}, "IDP1_CLIENT_ID is missing"),
    ],
)
def test_problem_names_the_setting_and_forbids_the_start(changes: dict[str, object], problem: str) -> None:
    settings = good_settings(**changes)
    assert [text for text in look(settings).problems if text.startswith(problem)]
    with pytest.raises(ConfigError):
        load(settings, {})


def test_no_problem_shows_a_secret() -> None:
    changes = {"SECRET_KEY": "hush", "CRYPTOKEY": "hush", "OIDC_CLIENT_SECRET": 17, "SESSION_TYPE": "x"}
    problems = look(good_settings(**changes)).problems
    assert len(problems) == 5
    assert "hush" not in str(problems)


def test_providers_come_in_the_order_of_the_list() -> None:
    settings = good_settings(**token_provider("b"), **token_provider("a-1"), TOKEN_PROVIDERS=["b", "a-1"])
    assert [one.id for one in load(settings, {}).providers] == ["b", "a-1"]


def test_audience_is_the_client_id_unless_it_is_given() -> None:
    assert load(good_settings(), {}).settings.oidc_audience == ("store",)
    assert load(good_settings(OIDC_AUDIENCE="api, store"), {}).settings.oidc_audience == ("api", "store")


def test_private_host_may_be_spoken_to_without_tls() -> None:
    plain = token_provider("idp1", DISCOVERY_URL="http://idp.internal/.well-known/openid-configuration")
    settings = good_settings(**plain, TOKEN_PROVIDERS="idp1")
    assert "ALLOW_PRIVATE_HOSTS" in str(look(settings).problems)
    assert look(settings | {"ALLOW_PRIVATE_HOSTS": "idp.internal"}).problems == ()


def test_environment_wins_over_nothing_and_the_argument_over_the_environment() -> None:
    environ = {"TOKENSTORE_WAIT_SECONDS": "3", "TOKENSTORE_PROXY_HOPS": "1"}
    settings = load(good_settings(WAIT_SECONDS=4), environ).settings
    assert (settings.wait_seconds, settings.proxy_hops) == (4, 1)


def test_development_makes_the_missing_keys_once_and_keeps_them(tmp_path: Path) -> None:
    first, second = load(development(tmp_path / "instance"), {}), load(development(tmp_path / "instance"), {})
    assert sum("made one" in warning for warning in first.warnings) == 2
    assert sum("made one" in warning for warning in second.warnings) == 0
    assert first.settings.cryptokey == second.settings.cryptokey
    assert first.settings.secret_key == second.settings.secret_key


def test_development_key_is_for_its_owner_only(tmp_path: Path) -> None:
    load(development(tmp_path / "instance"), {})
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "instance").iterdir()}
    assert modes == {"secret_key.key": 0o600, "cryptokey.key": 0o600}
    assert (tmp_path / "instance").stat().st_mode & 0o777 == 0o700


def test_a_mere_look_makes_no_keys_and_tells_that_the_start_does(tmp_path: Path) -> None:
    found = look(development(tmp_path / "instance"))
    assert found.problems == ()
    assert sum("makes one for development when it starts" in warning for warning in found.warnings) == 2
    assert list(tmp_path.iterdir()) == []


def test_development_says_so_and_starts_without_a_login_provider(tmp_path: Path) -> None:
    found = look(development(tmp_path))
    assert found.login is None
    assert found.settings.public_url == "http://127.0.0.1:5000"
    assert any(warning.startswith("DEVELOPMENT is on") for warning in found.warnings)
    assert any("nobody can log in" in warning for warning in found.warnings)


def test_development_takes_a_weak_key_and_another_session_type_with_a_warning(tmp_path: Path) -> None:
    found = look(development(tmp_path, CRYPTOKEY="00" * 32, SESSION_TYPE="filesystem"))
    assert found.problems == ()
    assert any(warning.startswith("CRYPTOKEY is weak") for warning in found.warnings)
    assert any(warning.startswith("SESSION_TYPE filesystem") for warning in found.warnings)


def test_half_a_login_provider_is_a_problem_even_in_development(tmp_path: Path) -> None:
    assert "OIDC_CLIENT_ID" in str(look(development(tmp_path, OIDC_CLIENT_SECRET="x")).problems)


@pytest.mark.parametrize("folder", ["file", "file/below"])
@pytest.mark.parametrize("settings", [development, lambda folder: good_settings(INSTANCE_PATH=str(folder))])
def test_an_instance_folder_that_cannot_be_made_is_one_problem(
    tmp_path: Path, settings: Callable[[Path], dict[str, object]], folder: str
) -> None:
    (tmp_path / "file").touch()
    [problem] = look(settings(tmp_path / folder)).problems
    assert problem == f"INSTANCE_PATH names {tmp_path / folder}, and {tmp_path / 'file'} is no folder"


def test_an_instance_folder_that_nothing_needs_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = f"sqlite:///{tmp_path / 'store.sqlite'}"
    settings = good_settings(INSTANCE_PATH=str(tmp_path / "file"), SQLALCHEMY_DATABASE_URI=database)
    assert look(settings).problems == ()


def test_a_spool_that_cannot_be_made_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = tmp_path / "file" / "spool"
    seen = look(good_settings(INSTANCE_PATH=str(tmp_path), SPOOL_DIR=str(spool)))
    assert seen.problems == ()
    said = f"SPOOL_DIR names {spool}, and {tmp_path / 'file'} is no folder; until then no token is refreshed"
    assert said in seen.warnings


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///tokenstore.sqlite",
        "sqlite:////var/lib/tokenstore/tokenstore.sqlite",
        "postgresql+psycopg://me:hush@db.example.org/store",
        "postgresql://me:hush@db.example.org/store",
        "postgres://me:hush@db.example.org/store",
    ],
)
def test_database_that_the_store_speaks_to_is_accepted(uri: str) -> None:
    assert look(good_settings(SQLALCHEMY_DATABASE_URI=uri)).problems == ()


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("hush.sqlite", "is no address of a database"),
        ("postgresql://me:hush@db.example.org:port/store", "is no address of a database"),
        ("mysql://me:hush@db.example.org/store", "names mysql, which the store does not speak"),
        ("postgresql+psycopg2://me:hush@db.example.org/store", "names postgresql+psycopg2, which"),
        ("sqlite://hush.sqlite", "names a host"),
        ("sqlite://", "names no file"),
    ],
)
def test_database_that_the_store_cannot_use_is_a_problem_that_keeps_the_password(uri: str, problem: str) -> None:
    [told] = look(good_settings(SQLALCHEMY_DATABASE_URI=uri)).problems
    assert told.startswith(f"SQLALCHEMY_DATABASE_URI {problem}")
    assert "hush" not in told


def test_a_missing_database_driver_is_a_problem_that_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    [problem] = look(good_settings(SQLALCHEMY_DATABASE_URI="postgresql+psycopg://me@db.example.org/store")).problems
    assert "install tokenstore[postgresql]" in problem


def test_given_key_is_not_replaced_in_development(tmp_path: Path) -> None:
    found = look(development(tmp_path, SECRET_KEY="mine", CRYPTOKEY=CRYPTOKEY))
    assert found.settings.secret_key == Secret("mine")
    assert list(tmp_path.iterdir()) == []

"""Settings written for the reference implementation start this store: as a file, as environment, in development."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenstore.config import Examined, examine

FILE = """
import os

SQLALCHEMY_DATABASE_URI = "postgresql://postgres:postgres@postgres:5432/tokenstore"
SQLALCHEMY_TRACK_MODIFICATIONS = False
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True, "pool_recycle": 300, "pool_size": 5}

SESSION_TYPE = "filesystem"
SESSION_FILE_DIR = os.path.join("/tmp", "sessions")
SESSION_FILE_THRESHOLD = 500
SESSION_FILE_MODE = 0o600

CACHE_TYPE = "SimpleCache"
CACHE_DEFAULT_TIMEOUT = 300

OIDC_DISCOVERY_URL = "https://auth.example.com/auth/realms/example/.well-known/openid-configuration"
OIDC_CLIENT_ID = "tokenstore"
OIDC_CLIENT_SECRET = "tokenstore_client_secret"
OIDC_USE_REFRESH_TOKEN = True

TOKEN_PROVIDERS = "idp1, idp2"
CRYPTOKEY = "0123456789abcdefghijklmnopqrstuv"
IDP1_DISCOVERY_URL = "https://auth-idp1.example.com/auth/realms/example/.well-known/openid-configuration"
IDP1_CLIENT_ID = "idp1"
IDP1_CLIENT_SECRET = "idp1_client_secret"
IDP1_MD_NAME = "IDP1 Display Name"
IDP1_MD_DESCRIPTION = "IDP1 description text"
IDP1_MD_URL = "https://idp1.example.com/"
IDP1_MD_ICON = "https://idp1.example.com/icon.svg"
IDP1_MD_LOGO = "https://idp1.example.com/logo.svg"
IDP2_DISCOVERY_URL = "https://auth-idp2.example.com/auth/realms/example/.well-known/openid-configuration"
IDP2_CLIENT_ID = "idp2"
IDP2_CLIENT_SECRET = "idp2_client_secret"
IDP2_SCOPE = "openid offline_access"

user_db = {"user": "user"}


def userinfo_from_basic(auth_info):
    if user_db.get(auth_info["username"]) == auth_info["password"]:
        return {"id": auth_info["username"], "name": "User", "roles": ["user"]}


def userinfo_from_apikey(auth_info):
    return {"id": "user"} if auth_info["token"] == "user_api_key" else None


USERINFO_MAP = {"basic": userinfo_from_basic, "apikey-v1": userinfo_from_apikey}
"""
ADDED = {
    "TOKENSTORE_PUBLIC_URL": "https://tokens.example.com",
    "TOKENSTORE_SECRET_KEY": "a key that every process shares",
}


@pytest.fixture
def file(tmp_path: Path) -> dict[str, str]:
    """The environment that names a settings file of the reference; it need not be called .py."""
    path = tmp_path / "production.cfg"
    path.write_text(FILE)
    return {"TOKENSTORE_SETTINGS": str(path)}


def names(found: Examined) -> set[str]:
    """What the warnings are about."""
    return {warning.split()[0].removeprefix("TOKENSTORE_") for warning in found.warnings}


def test_settings_file_starts_the_store_with_two_settings_more(file: dict[str, str]) -> None:
    found = examine(None, file | ADDED)

    assert found.problems == ()
    assert names(found) == {
        "SESSION_TYPE",
        *("SESSION_FILE_DIR", "SESSION_FILE_THRESHOLD", "SESSION_FILE_MODE"),
        *("CACHE_TYPE", "CACHE_DEFAULT_TIMEOUT", "OIDC_USE_REFRESH_TOKEN", "SQLALCHEMY_TRACK_MODIFICATIONS"),
    }


def test_providers_of_the_file_keep_their_meaning(file: dict[str, str]) -> None:
    found = examine(None, file | ADDED)

    assert [one.id for one in found.providers] == ["idp1", "idp2"]
    idp1, idp2 = found.providers
    assert (idp1.client_id, idp1.scopes) == ("idp1", ("openid", "email", "offline_access"))
    assert (idp1.issuer, idp1.prompt) == ("https://auth-idp1.example.com/auth/realms/example", "consent")
    assert (idp1.metadata.name, idp1.metadata.icon) == ("IDP1 Display Name", "https://idp1.example.com/icon.svg")
    assert idp2.scopes == ("openid", "offline_access")
    assert idp1.redirect_uri == "https://tokens.example.com/api/v1.0/idp1/redirect_uri"
    assert found.login is not None
    assert found.login.redirect_uri == "https://tokens.example.com/api/oidc/redirect_uri"


def test_environment_starts_the_store_as_the_file_does(file: dict[str, str]) -> None:
    values: dict[str, object] = {}
    exec(FILE, values)  # noqa: S102  (written above)
    texts = {f"TOKENSTORE_{name}": value for name, value in values.items() if isinstance(value, str) and name.isupper()}
    typed = {"TOKENSTORE_SESSION_FILE_MODE": "0o600", "TOKENSTORE_SESSION_FILE_THRESHOLD": "500"}

    found = examine(None, {**texts, **typed, **ADDED})

    assert found.problems == ()
    assert found.providers == examine(None, file | ADDED).providers


@pytest.mark.parametrize("kind", ["filesystem", "null"])
@pytest.mark.parametrize("development", ["true", "false"])
def test_sessions_of_the_reference_are_kept_here_with_a_warning(
    file: dict[str, str], kind: str, development: str
) -> None:
    where = {**ADDED, "TOKENSTORE_DEVELOPMENT": development}
    if development == "true":
        where["TOKENSTORE_PUBLIC_URL"] = "http://127.0.0.1:5000"

    found = examine(None, {**file, **where, "TOKENSTORE_SESSION_TYPE": kind})

    assert found.problems == ()
    assert any(warning.startswith(f"SESSION_TYPE {kind}") for warning in found.warnings)


def test_settings_file_starts_a_development_store_without_any_more(file: dict[str, str], tmp_path: Path) -> None:
    here = {"TOKENSTORE_DEVELOPMENT": "true", "TOKENSTORE_INSTANCE_PATH": str(tmp_path)}

    assert examine(None, file | here).problems == ()


def test_configuration_of_the_reference_s_own_tests_starts_in_development(tmp_path: Path) -> None:
    discovery = "https://auth.example.com/.well-known/openid-configuration"
    config: dict[str, object] = {
        "TESTING": True,
        "SQLALCHEMY_DATABASE_URI": "sqlite:///:memory:",
        "SQLALCHEMY_ENGINE_OPTIONS": {},
        "OIDC_DISCOVERY_URL": discovery,
        "OIDC_CLIENT_ID": "oidc-test",
        "OIDC_CLIENT_SECRET": "oidc_secret",
        "CRYPTOKEY": "1" * 32,
        "SESSION_TYPE": "null",
        "TOKEN_PROVIDERS": "idp1, idp2",
        **{f"{idp}_DISCOVERY_URL": discovery for idp in ("IDP1", "IDP2")},
        **{f"{idp}_CLIENT_ID": idp.lower() for idp in ("IDP1", "IDP2")},
        **{f"{idp}_CLIENT_SECRET": f"{idp.lower()}_secret" for idp in ("IDP1", "IDP2")},
        "IDP1_MD_NAME": "Provider 1",
    }

    found = examine({**config, "DEVELOPMENT": True, "INSTANCE_PATH": str(tmp_path)}, {})

    assert found.problems == ()

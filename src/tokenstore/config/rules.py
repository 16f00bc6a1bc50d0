"""What the store's own settings have to be together: in development, in production, and always."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tokenstore.config.findings import Findings
from tokenstore.config.keys import development_key
from tokenstore.config.places import folder_problem
from tokenstore.config.sources import SETTINGS_FILE, Taken, home
from tokenstore.config.table import Settings
from tokenstore.core.secret import Secret
from tokenstore.identity.userinfo import KINDS, function_of
from tokenstore.providers.checks import is_loopback
from tokenstore.store.engine import with_driver
from tokenstore.store.sqlite_files import is_relative_file
from tokenstore.vault.kek import cryptokey_weaknesses, parse_cryptokey

_DEVELOPMENT_URL = "http://127.0.0.1:5000"
_SHORTEST_SECRET_KEY = 16
_SESSIONS, _REDIS = "sqlalchemy", "redis"
_PICKLING_SESSIONS = ("cachelib", "filesystem")
# What the reference implementation documents: settings written for it still start.
_SESSIONS_OF_REFERENCE = ("filesystem", "null")
_MEND_KEY = "make one with python3 -c 'import secrets; print(secrets.token_hex(32))'"


def complete(settings: Settings, taken: Taken, found: Findings, *, make_keys: bool) -> Settings:
    """The settings with what follows from others filled in, checked together.

    In development missing keys come from the instance folder; `make_keys`: they are made if there are none yet.
    """
    instance = Path(settings.instance_path) if settings.instance_path else home() / "instance"
    url = settings.public_url.rstrip("/")
    if settings.development and "PUBLIC_URL" not in taken.problems:
        url = url or _DEVELOPMENT_URL
    spool = Path(settings.spool_dir) if settings.spool_dir else instance / "spool"
    settings = replace(
        settings, public_url=url, instance_path=str(instance.absolute()), spool_dir=str(spool.absolute())
    )
    _check_instance(settings, taken, found)
    if "INSTANCE_PATH" not in taken.problems and (problem := folder_problem(Path(settings.spool_dir))):
        # No problem that forbids a start: commands run where nothing is refreshed, too.
        found.warnings.append(f"SPOOL_DIR {problem}; until then no token is refreshed")
    if settings.development:
        settings = _developing(settings, taken, found, make_keys)
    else:
        _check_production(settings, taken.problems, found)
    _check_sessions(settings, taken.problems, found)
    _check_userinfo(settings, found)
    return settings


def _check_instance(settings: Settings, taken: Taken, found: Findings) -> None:
    keeps_keys = settings.development and not (settings.secret_key and settings.cryptokey)
    uri_is_good = "SQLALCHEMY_DATABASE_URI" not in taken.problems
    keeps_data = uri_is_good and is_relative_file(with_driver(settings.sqlalchemy_database_uri))
    if (keeps_keys or keeps_data) and (problem := folder_problem(Path(settings.instance_path))):
        taken.problems["INSTANCE_PATH"] = problem
        found.problems.append(f"INSTANCE_PATH {problem}")


def _developing(settings: Settings, taken: Taken, found: Findings, make_keys: bool) -> Settings:
    if settings.public_url and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        origin = taken.origins["DEVELOPMENT"]
        source = f"{origin}, which {SETTINGS_FILE} names" if origin.startswith("file ") else origin
        found.problems.append(
            f"DEVELOPMENT is refused where PUBLIC_URL is not this machine: take out DEVELOPMENT (from {source}), or "
            "serve on 127.0.0.1"
        )
        return settings
    found.warnings.append("DEVELOPMENT is on: this store is for its own machine, never for other people's accounts")
    settings = replace(
        settings,
        secret_key=settings.secret_key or _made("SECRET_KEY", settings, taken, found, make_keys),
        cryptokey=settings.cryptokey or _made("CRYPTOKEY", settings, taken, found, make_keys),
    )
    _check_cryptokey(settings.cryptokey, found, found.warnings)
    return settings


def _made(name: str, settings: Settings, taken: Taken, found: Findings, make: bool) -> Secret:
    """The development key of this name; empty if its setting or folder has a problem, or it is not there yet."""
    if name in taken.problems or "INSTANCE_PATH" in taken.problems:
        return Secret("")
    try:
        key, missing = development_key(Path(settings.instance_path), name, make=make)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        found.problems.append(f"{name} is missing and cannot be kept in {settings.instance_path} ({reason}): set it")
        return Secret("")
    taken.origins[name] = f"made for development in {settings.instance_path}"
    if missing:
        what = "made one for development" if make else "the store makes one for development when it starts,"
        found.warnings.append(f"{name} is missing: {what} in {settings.instance_path}")
    return key


def _check_production(settings: Settings, wrong: Container[str], found: Findings) -> None:
    if not settings.public_url and "PUBLIC_URL" not in wrong:
        found.problems.append("PUBLIC_URL is missing: write the address at which people reach this store")
    if not settings.secret_key and "SECRET_KEY" not in wrong:
        found.problems.append(f"SECRET_KEY is missing: {_MEND_KEY}, and name its file in SECRET_KEY_FILE")
    if 0 < len(settings.secret_key.reveal()) < _SHORTEST_SECRET_KEY:
        found.problems.append(f"SECRET_KEY is shorter than {_SHORTEST_SECRET_KEY} characters: {_MEND_KEY}")
    if not settings.cryptokey and "CRYPTOKEY" not in wrong:
        found.problems.append(f"CRYPTOKEY is missing: {_MEND_KEY}, and name its file in CRYPTOKEY_FILE")
    _check_cryptokey(settings.cryptokey, found, found.problems)


def _check_cryptokey(cryptokey: Secret, found: Findings, weak: list[str]) -> None:
    if not cryptokey:
        return
    try:
        keys = parse_cryptokey(cryptokey.reveal())
    except ValueError as error:
        found.problems.append(f"CRYPTOKEY cannot be used: {error}; {_MEND_KEY}")
        return
    weak += [f"CRYPTOKEY is weak: {weakness}; {_MEND_KEY}" for weakness in cryptokey_weaknesses(keys)]


def _check_sessions(settings: Settings, wrong: Container[str], found: Findings) -> None:
    if settings.session_idle > settings.session_lifetime:
        found.problems.append("SESSION_IDLE is longer than SESSION_LIFETIME: make it the shorter of the two")
    if settings.session_type == _REDIS and not settings.session_redis and "SESSION_REDIS" not in wrong:
        found.problems.append(
            "SESSION_REDIS is missing: write redis://:password@host:6379/0, or leave SESSION_TYPE out"
        )
    if settings.session_type in (_SESSIONS, _REDIS):
        return
    why = (
        "unpickles what it reads, which runs code for whoever can write there"
        if (settings.session_type in _PICKLING_SESSIONS)
        else "is not served"
    )
    if settings.development or settings.session_type in _SESSIONS_OF_REFERENCE:
        found.warnings.append(f"SESSION_TYPE {settings.session_type} {why}: sessions are kept by {_SESSIONS} instead")
    else:
        found.problems.append(
            f"SESSION_TYPE {settings.session_type} {why}: write {_SESSIONS} or {_REDIS}, or leave it out"
        )


def _check_userinfo(settings: Settings, found: Findings) -> None:
    for kind, value in settings.userinfo_map.items():
        if kind not in KINDS:
            wanted = " or ".join(KINDS)
            found.warnings.append(f"USERINFO_MAP {kind} is no credential type and is not used: write {wanted}")
            continue
        try:
            function_of(value)
        except ValueError as error:
            found.problems.append(f"USERINFO_MAP {kind} {error}")

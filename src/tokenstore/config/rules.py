"""What the store's own settings have to be together: in development, in production, and always."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tokenstore.config.findings import Findings
from tokenstore.config.keys import development_key
from tokenstore.config.sources import Taken, home
from tokenstore.config.table import Settings
from tokenstore.core.secret import Secret
from tokenstore.providers.checks import is_loopback
from tokenstore.vault.kek import cryptokey_weaknesses, parse_cryptokey

_DEVELOPMENT_URL = "http://127.0.0.1:5000"
_SHORTEST_SECRET_KEY = 16
_SESSIONS = "sqlalchemy"
_PICKLING_SESSIONS = ("cachelib", "filesystem")
_MEND_KEY = "make one with python3 -c 'import secrets; print(secrets.token_hex(32))'"


def complete(settings: Settings, taken: Taken, found: Findings) -> Settings:
    """The settings with what follows from others filled in, checked together.

    In development missing keys are made in the instance folder.
    """
    instance = Path(settings.instance_path) if settings.instance_path else home() / "instance"
    url = settings.public_url.rstrip("/")
    if settings.development and "PUBLIC_URL" not in taken.problems:
        url = url or _DEVELOPMENT_URL
    settings = replace(settings, public_url=url, instance_path=str(instance.absolute()))
    if settings.development:
        settings = _developing(settings, taken, found)
    else:
        _check_production(settings, taken.problems, found)
    _check_sessions(settings, found)
    return settings


def _developing(settings: Settings, taken: Taken, found: Findings) -> Settings:
    if settings.public_url and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        found.problems.append(
            "DEVELOPMENT is refused where PUBLIC_URL is not this machine: take out DEVELOPMENT, or serve on 127.0.0.1"
        )
        return settings
    found.warnings.append("DEVELOPMENT is on: this store is for its own machine, never for other people's accounts")
    settings = replace(
        settings,
        secret_key=settings.secret_key or _made("SECRET_KEY", settings, taken, found),
        cryptokey=settings.cryptokey or _made("CRYPTOKEY", settings, taken, found),
    )
    _check_cryptokey(settings.cryptokey, found, found.warnings)
    return settings


def _made(name: str, settings: Settings, taken: Taken, found: Findings) -> Secret:
    """The development key of this name; empty if its setting has a problem of its own or it cannot be made."""
    if name in taken.problems:
        return Secret("")
    try:
        key, made = development_key(Path(settings.instance_path), name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        found.problems.append(f"{name} is missing and cannot be kept in {settings.instance_path} ({reason}): set it")
        return Secret("")
    taken.origins[name] = f"made for development in {settings.instance_path}"
    if made:
        found.warnings.append(f"{name} is missing: made one for development in {settings.instance_path}")
    return key


def _check_production(settings: Settings, wrong: Container[str], found: Findings) -> None:
    if not settings.public_url and "PUBLIC_URL" not in wrong:
        found.problems.append("PUBLIC_URL is missing: write the address at which people reach this store")
    if not settings.secret_key and "SECRET_KEY" not in wrong:
        found.problems.append(f"SECRET_KEY is missing: {_MEND_KEY}")
    if 0 < len(settings.secret_key.reveal()) < _SHORTEST_SECRET_KEY:
        found.problems.append(f"SECRET_KEY is shorter than {_SHORTEST_SECRET_KEY} characters: {_MEND_KEY}")
    if not settings.cryptokey and "CRYPTOKEY" not in wrong:
        found.problems.append(f"CRYPTOKEY is missing: {_MEND_KEY}")
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


def _check_sessions(settings: Settings, found: Findings) -> None:
    if settings.session_idle > settings.session_lifetime:
        found.problems.append("SESSION_IDLE is longer than SESSION_LIFETIME: make it the shorter of the two")
    if settings.session_type == _SESSIONS:
        return
    why = (
        "unpickles what it reads, which runs code for whoever can write there"
        if (settings.session_type in _PICKLING_SESSIONS)
        else "is not served"
    )
    if settings.development:
        found.warnings.append(f"SESSION_TYPE {settings.session_type} {why}: sessions are kept by {_SESSIONS} instead")
    else:
        found.problems.append(f"SESSION_TYPE {settings.session_type} {why}: write {_SESSIONS}, or leave it out")

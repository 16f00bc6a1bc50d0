"""Where the data lie: what the addresses of databases and the instance folder have to be. Looks, makes nothing."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tokenstore.store.engine import with_driver

_MEND = "write sqlite:///name.sqlite or postgresql+psycopg://user:password@host/name"
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")


def database_problem(uri: str) -> str | None:
    """The address of a database that the store speaks to, with its driver there; its text is never shown."""
    url = _parsed(uri)
    if url is None:
        return f"is no address of a database: {_MEND}"
    if url.drivername not in _DRIVERS:
        return f"names {url.drivername}, which the store does not speak: {_MEND}"
    if url.get_backend_name() == "sqlite" and url.host:
        return "names a host: SQLite has none, write sqlite:///name.sqlite with three slashes"
    if url.get_backend_name() == "sqlite" and not url.database:
        return "names no file: write sqlite:///name.sqlite"
    if url.get_backend_name() == "postgresql" and not _has_psycopg():
        return "needs the PostgreSQL driver: install tokenstore[postgresql]"
    return None


def redis_problem(url: str) -> str | None:
    """The address of a Redis, with its driver there; its text is never shown."""
    if not url:
        return None
    try:
        redis = importlib.import_module("redis")
    except ImportError:
        return "needs the Redis driver: install tokenstore[redis]"
    try:
        redis.Redis.from_url(url).close()
    except (ValueError, TypeError):
        return "is no address of a Redis: write redis://:password@host:6379/0, or rediss:// with TLS"
    return None


def folder_problem(path: Path) -> str | None:
    """A folder to write in that is there or can be made."""
    above = (path, *path.absolute().parents)
    there = next(one for one in above if os.path.exists(one))  # noqa: PTH110  (Path's fails where it may not look)
    if not there.is_dir():
        return f"names {path}, and {there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"names {path}, and {there} cannot be written: name another, or let the store's user write there"
    return None


def _parsed(uri: str) -> URL | None:
    try:
        return make_url(with_driver(uri))
    except (ArgumentError, ValueError):
        return None


def _has_psycopg() -> bool:
    try:
        importlib.import_module("psycopg")
    except ImportError:
        return False
    return True

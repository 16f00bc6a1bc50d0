"""Files of SQLite databases: which addresses mean one, and that a new one is for its owner only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, make_url
from sqlalchemy.pool import ConnectionPoolEntry


def is_relative_file(uri: str) -> bool:
    """Whether a database URL means an SQLite file with a relative path."""
    url = make_url(uri)
    name = url.database or ":memory:"
    return url.get_backend_name() == "sqlite" and not name.startswith((":", "/", "file:"))


def make_folder(folder: Path) -> None:
    """Make a folder of data, open to its owner only; one that is there stays as it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_for_owner(
    dialect: Dialect,  # noqa: ARG001  (SQLAlchemy's)
    record: ConnectionPoolEntry,  # noqa: ARG001  (SQLAlchemy's)
    arguments: list[Any],
    options: dict[str, Any],  # noqa: ARG001  (SQLAlchemy's)
) -> None:
    """Listener for `do_connect`: a database file that is not there yet is made with mode 0600.

    SQLite gives its further files the mode of the first. Whatever goes wrong is left to SQLite to tell.
    """
    name = str(arguments[0]) if arguments else ""
    if not name or name.startswith((":", "file:")):
        return
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return

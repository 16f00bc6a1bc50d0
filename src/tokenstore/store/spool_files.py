"""Files of the spool on the disk: written through, locked, removed. What is in them is not known here."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tokenstore.errors import StorageUnavailable

_log = logging.getLogger(__name__)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Make of an OSError within StorageUnavailable, and tell the log which folder it was."""
    try:
        yield
    except OSError as error:
        _log.error("the spool in %s cannot be used: %s", folder, error.strerror)
        raise StorageUnavailable(
            "The spool cannot be used at present, so no token is refreshed. Ask again.",
            debug=f"spool: {error.strerror}",
        ) from error


def create(path: Path, content: bytes) -> None:
    """Make a file that is not there yet, to the disk, open to its owner only. Raises OSError."""
    _write(path, content, os.O_CREAT | os.O_EXCL)


def overwrite(path: Path, content: bytes) -> None:
    """Write the beginning of a file that is there, to the disk; it gets longer if it must. Raises OSError."""
    _write(path, content, 0)


def lock(path: Path) -> int:
    """Take the file's lock, which ends with this process at the latest; the descriptor that holds it.

    Raises BlockingIOError if somebody has it, OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sync_folder(folder: Path) -> None:
    """See to it that what was made in the folder is there after the machine crashed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path, done: set[str]) -> None:
    """Remove a file; one that stays is noted as done, so that nobody takes it for an answer that waits."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        done.add(path.name)
        _log.warning("a file of the spool cannot be removed: %s", error.strerror)


def age(path: Path) -> timedelta:
    """How long ago the file was written to. Raises OSError."""
    return timedelta(seconds=max(0.0, time.time() - path.stat().st_mtime))


def _write(path: Path, content: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The spool: a folder of small files in which providers' answers are safe until the database has them.

A file is one flight's: `<link>.<version>.<flight>`, made full-sized before anything is sent, so that a disk that
fills up later takes nothing from it. What is written there is sealed; length and digest before it tell whether it was
written whole, so that a torn file is told from one whose key is not there. The folder is the machine's own: its name
stands in the leases of all processes that share it. Room is locked by whoever reserved it for as long as he lives.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from tokenstore.core.model import Account, Asked, Identity, Link, LinkId, ProviderId
from tokenstore.core.secret import Secret
from tokenstore.core.spool import LeftBehind, SpoolDepth, Spooled, SpoolPlace, Whose
from tokenstore.errors import StorageUnavailable
from tokenstore.store.sqlite_files import make_folder
from tokenstore.store.token_texts import tokens_from_json, tokens_to_json
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Vault

ROOM: Final = 32 * 1024
"""Bytes reserved for one answer; a longer one takes more where there is more."""

FORSAKEN: Final = timedelta(minutes=10)
"""Room is looked at after so long, and removed if it was never written to and its process is gone."""

TORN: Final = timedelta(minutes=1)
"""What was not written to for so long is not being written."""

_MAGIC: Final = b"TSSPOOL1"
_LENGTH: Final = slice(len(_MAGIC), len(_MAGIC) + 4)
_DIGEST: Final = slice(_LENGTH.stop, _LENGTH.stop + 32)
_HEAD: Final = _DIGEST.stop
_NODE_FILE: Final = "node"
_NAME: Final = re.compile(r"([0-9a-f]{32})\.([0-9]+)\.[0-9a-f]{32}")
_ASIDE: Final = ".unreadable"

_log = logging.getLogger(__name__)


class FileSpool:
    """The `Spool` port in a folder, which is made when it is first needed; open to its owner only."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder = folder
        self._vault = vault
        self._name: str | None = None
        self._done: set[str] = set()

    def name(self) -> str:
        """See the port: eight digits that are kept in the folder, for a host may get another name."""
        if self._name is None:
            with _told(self._folder):
                self._name = self._node()
            _log.info("the spool in %s is %s, at present of host %s", self._folder, self._name, socket.gethostname())
        return self._name

    def ready(self) -> None:
        """See the port. Makes the folder if it is not there, as nothing else tells whether that can be done."""
        with _told(self._folder):
            self._make_folder()
            if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def reserve(self, link: Link) -> SpoolPlace:
        """See the port."""
        self._vault.seal(Secret(""), _context(link.id, link.version))
        path = self._folder / f"{link.id.hex}.{link.version}.{uuid4().hex}"
        with _told(self._folder):
            self._make_folder()
            try:
                _write(path, bytes(ROOM), os.O_CREAT | os.O_EXCL)
                lock = _lock(path)
                _sync_folder(self._folder)
            except OSError:
                path.unlink(missing_ok=True)  # it would take room that the disk does not have
                raise
        return _Place(path, self._vault, self._done, lock)

    def left_behind(self, link_id: LinkId | None = None) -> Sequence[LeftBehind]:
        """See the port; room that is reserved and not written to is left out."""
        with _told(self._folder):
            return [found for found in self._entries(link_id) if found.is_written()]

    def depth(self) -> SpoolDepth:
        """See the port."""
        ages = []
        with _told(self._folder):
            for found in self._entries():
                with suppress(FileNotFoundError):
                    if found.is_written():
                        ages.append(_age(found.path))
            aside = [path for path in self._paths() if path.suffix == _ASIDE and _NAME.fullmatch(path.stem)]
        return SpoolDepth(len(ages), max(ages, default=timedelta()), len(aside))

    def tidy(self) -> None:
        """See the port."""
        with _told(self._folder):
            for found in self._entries():
                with suppress(FileNotFoundError):
                    if _age(found.path) > FORSAKEN and not found.is_written():
                        found.clear()

    def _paths(self) -> Sequence[Path]:
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _entries(self, link_id: LinkId | None = None) -> Iterator[_Entry]:
        for path in self._paths():
            match = _NAME.fullmatch(path.name)
            if match and path.name not in self._done:
                of = LinkId(UUID(match[1]))
                if link_id in (None, of):
                    yield _Entry(path, self._vault, self._done, of, int(match[2]))

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            make_folder(self._folder)

    def _node(self) -> str:
        """Eight digits that stay with the folder; of several processes that begin, one gives them."""
        self._make_folder()
        path, mine = self._folder / _NODE_FILE, self._folder / f"{_NODE_FILE}.{uuid4().hex}"
        if not path.exists():
            _write(mine, uuid4().hex[:8].encode(), os.O_CREAT | os.O_EXCL)
            with suppress(FileExistsError):
                os.link(mine, path)
            mine.unlink()
            _sync_folder(self._folder)
        return path.read_text(encoding="ascii")[:8]


def is_spool(folder: Path) -> bool:
    """Whether this is the folder of a spool, used or not, or holds answers out of one. Raises OSError."""
    return any(path.name == _NODE_FILE or _NAME.fullmatch(path.name) for path in folder.iterdir())


@dataclass(slots=True)
class _Place:
    """The `SpoolPlace` port: one file. done: names of files that could not be removed; lock: its open file."""

    path: Path
    vault: Vault
    done: set[str]
    lock: int | None
    kept: bool = field(default=False, init=False)

    def keep(self, spooled: Spooled) -> None:
        """See the port."""
        sealed = self.vault.seal(Secret(_to_text(spooled)), _context(spooled.link_id, spooled.version))
        with _told(self.path.parent):
            _write(self.path, _MAGIC + len(sealed).to_bytes(4, "big") + sha256(sealed).digest() + sealed, 0)
        self.kept = True

    def forget(self) -> None:
        """See the port."""
        self.kept = False
        _remove(self.path, self.done)

    def close(self) -> None:
        """See the port."""
        if not self.kept:
            _remove(self.path, self.done)
        lock, self.lock = self.lock, None
        if lock is not None:
            os.close(lock)


@dataclass(frozen=True, slots=True)
class _Entry:
    """The `LeftBehind` port: a file that was found."""

    path: Path
    vault: Vault
    done: set[str]
    link_id: LinkId
    version: int

    def is_written(self) -> bool:
        """Whether an answer, or the beginning of one, is there."""
        try:
            with self.path.open("rb") as file:
                return any(file.read(_HEAD))
        except FileNotFoundError:
            return False

    def read(self) -> Spooled | None:
        """See the port."""
        with _told(self.path.parent):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                return None
        sealed = content[_HEAD : _HEAD + int.from_bytes(content[_LENGTH], "big")]
        if not content.startswith(_MAGIC) or content[_DIGEST] != sha256(sealed).digest():
            self._put_aside()
            return None
        text = self.vault.open(sealed, _context(self.link_id, self.version)).reveal()
        return _from_text(text, self.link_id, self.version)

    def forget(self) -> None:
        """See the port."""
        _remove(self.path, self.done)

    def clear(self) -> None:
        """Remove room unless whoever reserved it is still there. Raises OSError."""
        with suppress(BlockingIOError):
            lock = _lock(self.path)
            try:
                if not self.is_written():
                    self.path.unlink()
            finally:
                os.close(lock)

    def _put_aside(self) -> None:
        with suppress(OSError):
            if _age(self.path) > TORN:
                self.path.rename(self.path.with_name(self.path.name + _ASIDE))
                _log.error("a file in the spool is not whole and is put aside", extra={"link": str(self.link_id)})


def _context(link_id: LinkId, version: int) -> Context:
    # Not the provider, who may get another id while an answer waits.
    return Context("spool", Kind.SPOOL, uuid5(link_id, str(version)))


def _write(path: Path, content: bytes, flags: int) -> None:
    """Write the beginning of a file, to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Take the file's lock, which ends with this process at the latest. Raises BlockingIOError if somebody has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path, done: set[str]) -> None:
    """Remove a file; one that stays is noted as done, so that nobody takes it for an answer that waits."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        done.add(path.name)
        _log.warning("a file of the spool cannot be removed: %s", error.strerror)


def _age(path: Path) -> timedelta:
    return timedelta(seconds=max(0.0, time.time() - path.stat().st_mtime))


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _log.error("the spool in %s cannot be used: %s", folder, error.strerror)
        raise StorageUnavailable(
            "The spool cannot be used at present, so no token is refreshed. Ask again.",
            debug=f"spool: {error.strerror}",
        ) from error


def _to_text(spooled: Spooled) -> str:
    asked = spooled.asked
    return json.dumps(
        {
            "asked": [sorted(asked.scopes), asked.audience, list(asked.resources)],
            "tokens": tokens_to_json(spooled.tokens),
            "sent_at": spooled.sent_at.timestamp(),
            "rotation_only": spooled.rotation_only,
            "whose": None if spooled.whose is None else _whose_to_json(spooled.whose),
        }
    )


def _from_text(text: str, link_id: LinkId, version: int) -> Spooled:
    """What another version of the store did not write is as not said; without tokens it raises KeyError."""
    found = json.loads(text)
    scopes, audience, resources = found.get("asked", ((), None, ()))
    whose = found.get("whose")
    return Spooled(
        link_id,
        version,
        Asked(frozenset(scopes), audience, tuple(resources)),
        tokens_from_json(found["tokens"]),
        datetime.fromtimestamp(found.get("sent_at", 0), UTC),
        found.get("rotation_only", False),
        None if whose is None else _whose_from_json(whose),
    )


def _whose_to_json(whose: Whose) -> dict[str, Any]:
    return {
        "provider": whose.provider_id,
        "client": whose.client_id,
        "owner": [whose.owner.issuer, whose.owner.subject],
        "account": [whose.account.issuer, whose.account.subject],
    }


def _whose_from_json(found: dict[str, Any]) -> Whose:
    owner, account = Identity(*found["owner"]), Account(*found["account"])
    return Whose(ProviderId(found["provider"]), found["client"], owner, account)

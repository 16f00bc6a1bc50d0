"""The spool: a folder of small files in which providers' answers are safe until the database has them.

A file is one flight's: `<link>.<version>.<flight>`, made full-sized before anything is sent, so that a disk that
fills up later takes nothing from it. What is written there is sealed. The folder is the machine's own: its name stands
in the leases of all processes that share it. Room is locked by whoever reserved it for as long as he lives.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from tokenstore.core.model import Link, LinkId
from tokenstore.core.spool import LeftBehind, SpoolDepth, SpoolPlace
from tokenstore.store.spool_files import age, create, lock, sync_folder, told
from tokenstore.store.spool_places import ASIDE, Entry, Place
from tokenstore.store.spool_texts import try_to_seal
from tokenstore.store.sqlite_files import make_folder
from tokenstore.vault.vault import Vault

ROOM: Final = 32 * 1024
"""Bytes reserved for one answer; a longer one takes more where there is more."""

FORSAKEN: Final = timedelta(minutes=10)
"""Room is looked at after so long, and removed if it was never written to and its process is gone."""

_NODE_FILE: Final = "node"
_NAME: Final = re.compile(r"([0-9a-f]{32})\.([0-9]+)\.[0-9a-f]{32}")

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
            with told(self._folder):
                self._name = self._node()
            _log.info("the spool in %s is %s, at present of host %s", self._folder, self._name, socket.gethostname())
        return self._name

    def ready(self) -> None:
        """See the port. Makes the folder if it is not there, as nothing else tells whether that can be done."""
        with told(self._folder):
            self._make_folder()
            if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def reserve(self, link: Link) -> SpoolPlace:
        """See the port."""
        try_to_seal(self._vault, link.id, link.version)
        path = self._folder / f"{link.id.hex}.{link.version}.{uuid4().hex}"
        with told(self._folder):
            self._make_folder()
            try:
                create(path, bytes(ROOM))
                held = lock(path)
                sync_folder(self._folder)
            except OSError:
                path.unlink(missing_ok=True)  # it would take room that the disk does not have
                raise
        return Place(path, self._vault, self._done, held)

    def left_behind(self, link_id: LinkId | None = None) -> Sequence[LeftBehind]:
        """See the port; room that is reserved and not written to is left out."""
        with told(self._folder):
            return [found for found in self._entries(link_id) if found.is_written()]

    def depth(self) -> SpoolDepth:
        """See the port."""
        ages = []
        with told(self._folder):
            for found in self._entries():
                with suppress(FileNotFoundError):
                    if found.is_written():
                        ages.append(age(found.path))
            aside = [path for path in self._paths() if path.suffix == ASIDE and _NAME.fullmatch(path.stem)]
        return SpoolDepth(len(ages), max(ages, default=timedelta()), len(aside))

    def tidy(self) -> None:
        """See the port."""
        with told(self._folder):
            for found in self._entries():
                with suppress(FileNotFoundError):
                    if age(found.path) > FORSAKEN and not found.is_written():
                        found.clear()

    def _paths(self) -> Sequence[Path]:
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _entries(self, link_id: LinkId | None = None) -> Iterator[Entry]:
        for path in self._paths():
            match = _NAME.fullmatch(path.name)
            if match and path.name not in self._done:
                of = LinkId(UUID(match[1]))
                if link_id in (None, of):
                    yield Entry(path, self._vault, self._done, of, int(match[2]))

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            make_folder(self._folder)

    def _node(self) -> str:
        """Eight digits that stay with the folder; of several processes that begin, one gives them."""
        self._make_folder()
        path, mine = self._folder / _NODE_FILE, self._folder / f"{_NODE_FILE}.{uuid4().hex}"
        if not path.exists():
            create(mine, uuid4().hex[:8].encode())
            with suppress(FileExistsError):
                os.link(mine, path)
            mine.unlink()
            sync_folder(self._folder)
        return path.read_text(encoding="ascii")[:8]


def is_spool(folder: Path) -> bool:
    """Whether this is the folder of a spool, used or not, or holds answers out of one. Raises OSError."""
    return any(path.name == _NODE_FILE or _NAME.fullmatch(path.name) for path in folder.iterdir())

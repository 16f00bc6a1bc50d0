"""One file of the spool: as room for the answer of a flight under way, and as it is found later.

`done`: the names of files that could not be removed, which all places and entries of a spool share.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from tokenstore.core.model import LinkId
from tokenstore.core.spool import Spooled
from tokenstore.store.spool_files import age, lock, overwrite, remove, told
from tokenstore.store.spool_texts import HEAD, Torn, pack, unpack
from tokenstore.vault.vault import Vault

ASIDE: Final = ".unreadable"
"""What is added to the name of a file that is not whole."""

TORN: Final = timedelta(minutes=1)
"""What was not written to for so long is not being written."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """The `SpoolPlace` port. held: the descriptor that holds the file's lock."""

    path: Path
    vault: Vault
    done: set[str]
    held: int | None
    kept: bool = field(default=False, init=False)

    def keep(self, spooled: Spooled) -> None:
        """See the port."""
        content = pack(self.vault, spooled)
        with told(self.path.parent):
            overwrite(self.path, content)
        self.kept = True

    def forget(self) -> None:
        """See the port."""
        self.kept = False
        remove(self.path, self.done)

    def close(self) -> None:
        """See the port."""
        if not self.kept:
            remove(self.path, self.done)
        held, self.held = self.held, None
        if held is not None:
            os.close(held)


@dataclass(frozen=True, slots=True)
class Entry:
    """The `LeftBehind` port."""

    path: Path
    vault: Vault
    done: set[str]
    link_id: LinkId
    version: int

    def is_written(self) -> bool:
        """Whether an answer, or the beginning of one, is there."""
        try:
            with self.path.open("rb") as file:
                return any(file.read(HEAD))
        except FileNotFoundError:
            return False

    def read(self) -> Spooled | None:
        """See the port."""
        with told(self.path.parent):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return unpack(self.vault, content, self.link_id, self.version)
        except Torn:
            self._put_aside()
            return None

    def forget(self) -> None:
        """See the port."""
        remove(self.path, self.done)

    def clear(self) -> None:
        """Remove room unless whoever reserved it is still there. Raises OSError."""
        with suppress(BlockingIOError):
            held = lock(self.path)
            try:
                if not self.is_written():
                    self.path.unlink()
            finally:
                os.close(held)

    def _put_aside(self) -> None:
        with suppress(OSError):
            if age(self.path) > TORN:
                self.path.rename(self.path.with_name(self.path.name + ASIDE))
                _log.error("a file in the spool is not whole and is put aside", extra={"link": str(self.link_id)})

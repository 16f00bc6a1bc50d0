"""What commands do with an application besides serving: where it is kept, and how they come by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import Flask

from tokenstore.core.refresh import Recovery
from tokenstore.core.spool import Spool
from tokenstore.keeper.process import Keeper

_EXTENSION = "tokenstore"


@dataclass(frozen=True, slots=True)
class Operations:
    """The keeper, this machine's spool, and how another machine's is opened and replayed."""

    keeper: Keeper
    spool: Spool
    spool_in: Callable[[Path], Spool]
    recovery_of: Callable[[Spool], Recovery]

    def keep_in(self, app: Flask) -> None:
        """Let commands find it."""
        app.extensions[_EXTENSION] = self

    @classmethod
    def of(cls, app: Flask) -> Operations:
        """That of an application."""
        return cast(Operations, app.extensions[_EXTENSION])

"""The `Spool` port in memory; what was written stands in `FakeSpool.answers`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from tokenstore.core.model import Link, LinkId
from tokenstore.core.spool import LeftBehind, SpoolDepth, Spooled, SpoolPlace
from tokenstore.errors import StorageUnavailable


@dataclass(slots=True)
class FakeSpool:
    """A spool of the machine `node-1`. `full`: nothing can be reserved; `failing`: nothing can be written.

    `unreadable`: what the next attempts to read raise; `closed`: how many places were.
    """

    full: bool = False
    failing: bool = False
    reserved: int = 0
    closed: int = 0
    written: list[Spooled] = field(default_factory=list)
    answers: list[Spooled] = field(default_factory=list)
    unreadable: list[Exception] = field(default_factory=list)

    def name(self) -> str:
        return "node-1"

    def ready(self) -> None:
        if self.full:
            raise StorageUnavailable("The spool cannot be used at present.")

    def reserve(self, _link: Link) -> SpoolPlace:
        if self.full:
            raise StorageUnavailable("The spool cannot be used at present.")
        self.reserved += 1
        return _Place(self)

    def left_behind(self, link_id: LinkId | None = None) -> Sequence[LeftBehind]:
        return [_Found(self, answer) for answer in self.answers if link_id in (None, answer.link_id)]

    def depth(self) -> SpoolDepth:
        return SpoolDepth(len(self.answers), timedelta())

    def tidy(self) -> None:
        """Nothing is ever forsaken here."""


@dataclass(slots=True)
class _Place:
    spool: FakeSpool
    kept: Spooled | None = None

    def keep(self, spooled: Spooled) -> None:
        if self.spool.failing:
            raise StorageUnavailable("The spool cannot be used at present.")
        self.kept = spooled
        self.spool.written.append(spooled)
        self.spool.answers.append(spooled)

    def forget(self) -> None:
        if self.kept in self.spool.answers:
            self.spool.answers.remove(self.kept)
        self.kept = None

    def close(self) -> None:
        self.spool.closed += 1


@dataclass(frozen=True, slots=True)
class _Found:
    spool: FakeSpool
    answer: Spooled

    @property
    def link_id(self) -> LinkId:
        return self.answer.link_id

    def read(self) -> Spooled | None:
        if self.spool.unreadable:
            raise self.spool.unreadable.pop(0)
        return self.answer if self.answer in self.spool.answers else None

    def forget(self) -> None:
        with suppress(ValueError):
            self.spool.answers.remove(self.answer)

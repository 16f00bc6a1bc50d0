"""How long a statement waits for a PostgreSQL that says nothing: one whose connections stay while nothing answers.

What waits is in `impatient`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SILENCE_SECONDS = 2.0
"""A database that says nothing for so long is as good as away: a caller is told half a second later."""

LOOK_SECONDS = 60.0
"""A look through a large table takes its time."""

_patience = ContextVar("patience", default=SILENCE_SECONDS)


@contextmanager
def unhurried(seconds: float = math.inf) -> Iterator[None]:
    """In this block the thread's statements wait for so long, as migrations and clearing up may."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


def patience() -> float:
    """How long the thread's statements wait for a sign of life, in seconds."""
    return _patience.get()

"""Waiting for what other threads or processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(fact: Callable[[], bool], what: str, *, seconds: float = 10) -> None:
    """Return as soon as the fact holds; fails the test, naming what was waited for, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)

"""The store on a machine whose clock is wrong: composition roots of the tests'.

`support.skewed:ahead()` and `support.skewed:behind()` are what Gunicorn serves there. Only what asks for the time of
day is fooled: monotonic clocks know no time of day.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any, Self

from flask import Flask
from typing_extensions import override

SKEW = 300.0
"""Seconds."""


def ahead() -> Flask:
    """The application, five minutes ahead."""
    return _skewed(SKEW)


def behind() -> Flask:
    """The application, five minutes behind."""
    return _skewed(-SKEW)


def _skewed(by: float) -> Flask:
    """Turn the clocks before the modules that read them are imported."""
    if "tokenstore.core.refresh.errand" in sys.modules:
        raise RuntimeError("the store has been imported with the right clock")
    right = time.time

    class Skewed(dt.datetime):
        @override
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(right() + by, tz)

    replaced: Any = dt
    replaced.datetime = Skewed
    time.time = lambda: right() + by
    from tokenstore.app import create_app

    return create_app()

"""tokenstore: link an account once, then get fresh access tokens for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

__version__ = "0.1.0"

__all__ = ["__version__", "create_app"]


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """The WSGI application; see `tokenstore.app`. Raises ConfigError with every problem of the settings."""
    # Imported here so that the pure parts (`tokenstore.core`, the token formats) can be used without Flask.
    from tokenstore import app

    return app.create_app(config)

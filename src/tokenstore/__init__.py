"""tokenstore: link an account once, then get fresh access tokens for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from tokenstore.errors import ConfigError

__version__ = "0.1.0"

__all__ = ["__version__", "create_app"]


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """The WSGI application; see `tokenstore.app`.

    Wrong settings: with `config` raises ConfigError; without it, as commands and servers call this, every problem is
    printed on standard error and the process or command ends.
    """
    # Imported here so that the pure parts (`tokenstore.core`, the token formats) can be used without Flask.
    from tokenstore import app
    from tokenstore.errors import ConfigError

    if config is not None:
        return app.create_app(config)
    try:
        return app.create_app()
    except ConfigError as error:
        raise _refusal(error) from None


def _refusal(error: ConfigError) -> BaseException:
    """What ends a `flask` command in its own way, or a server: for Gunicorn the status means not to try again."""
    import click
    from flask.cli import NoAppException

    if click.get_current_context(silent=True) is not None:
        return NoAppException(str(error))
    click.echo(f"Error: {error}", err=True)
    return SystemExit(4)

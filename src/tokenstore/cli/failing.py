"""How a command ends that cannot do its work."""

from __future__ import annotations

import click

from tokenstore.errors import TokenStoreError


def failure(error: TokenStoreError, then: str = "") -> click.ClickException:
    """What ends the command: what happened, with the reason that callers are not shown; `then`: what to do now."""
    said = f"{error.detail} ({error.debug})" if error.debug else error.detail
    return click.ClickException(f"{said} {then}".rstrip())

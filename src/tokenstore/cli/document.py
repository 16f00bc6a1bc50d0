"""`flask tokenstore openapi`: the API document, without starting the store."""

from __future__ import annotations

import click

from tokenstore.api.document import document, text


@click.command()
def openapi() -> None:
    """Print the API document (OpenAPI 3.1) as it is checked in."""
    click.echo(text(document()), nl=False)

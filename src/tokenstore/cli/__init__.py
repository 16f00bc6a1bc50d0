"""Commands for operators, as `flask tokenstore …`.

Found by Flask through the entry point `flask.commands`, so that what needs no application runs where the settings
would not let one start.
"""

import click

from tokenstore.cli.config import config


@click.group()
def group() -> None:
    """Run and look after the token store."""


group.add_command(config)

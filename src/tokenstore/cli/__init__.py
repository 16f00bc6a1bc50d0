"""Commands for operators, as `flask tokenstore …`.

Found by Flask through the entry point `flask.commands`, so that what needs no application runs where the settings
would not let one start.
"""

import click

from tokenstore.cli.config import config
from tokenstore.cli.document import openapi
from tokenstore.cli.importing import import_reference
from tokenstore.cli.keeper import keeper
from tokenstore.cli.providers import providers
from tokenstore.cli.spool import spool
from tokenstore.cli.users import users


@click.group()
@click.version_option(package_name="tokenstore", message="%(package)s %(version)s")
def group() -> None:
    """Run and look after the token store."""


group.add_command(config)
group.add_command(openapi)
group.add_command(import_reference)
group.add_command(keeper)
group.add_command(providers)
group.add_command(spool)
group.add_command(users)

"""`flask tokenstore users …`: who there is, and who may use the store no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from tokenstore.cli.failing import failure
from tokenstore.cli.opening import open_store
from tokenstore.core.model import Identity
from tokenstore.errors import TokenStoreError
from tokenstore.store.user_admin import UserAdmin

_issuer = click.option("--issuer", help="Issuer of the login provider, where the subject is known at several.")


@click.group()
def users() -> None:
    """Look at users, disable and enable them."""


@users.command(name="list")
@click.option("--disabled", is_flag=True, help="Only those who are disabled.")
def list_(disabled: bool) -> None:
    """List users, one a line.

    Subject, issuer, number of links, state, name and e-mail, separated by tabs.
    """
    with _admin() as admin:
        for entry in admin.users():
            if disabled and entry.disabled_at is None:
                continue
            who, state = entry.identity, _state(entry.disabled_at)
            fields = (who.subject, who.issuer, str(entry.links), state, entry.name, entry.email)
            click.echo("\t".join(_plain(field) for field in fields))


@users.command()
@click.argument("subject")
@_issuer
def disable(subject: str, issuer: str | None) -> None:
    """Hand out nothing to a user any more and end all its logins; links stay.

    Holds within a second in every process, also for access tokens that were checked before.
    """
    with _admin() as admin:
        changed = admin.disable(_found(admin, subject, issuer))
    click.echo("disabled" if changed else "was disabled already")


@users.command()
@click.argument("subject")
@_issuer
def enable(subject: str, issuer: str | None) -> None:
    """Let a user come back."""
    with _admin() as admin:
        changed = admin.enable(_found(admin, subject, issuer))
    click.echo("enabled" if changed else "was not disabled")


@contextmanager
def _admin() -> Iterator[UserAdmin]:
    with open_store() as store:
        try:
            yield UserAdmin(store.database)
        except TokenStoreError as error:
            raise failure(error) from None


def _found(admin: UserAdmin, subject: str, issuer: str | None) -> Identity:
    known = [one for one in admin.issuers_of(subject) if issuer in (None, one)]
    if not known:
        raise click.ClickException("there is no such user; flask tokenstore users list shows who there is")
    if len(known) > 1:
        raise click.ClickException(f"several issuers know this subject, name one with --issuer: {', '.join(known)}")
    return Identity(known[0], subject)


def _state(disabled_at: datetime | None) -> str:
    return "enabled" if disabled_at is None else f"disabled {disabled_at:%Y-%m-%dT%H:%M:%SZ}"


def _plain(text: str | None) -> str:
    """Text of others, fit for a terminal and for one field of a line."""
    return "-" if not text else "".join(letter if letter.isprintable() else "?" for letter in text)

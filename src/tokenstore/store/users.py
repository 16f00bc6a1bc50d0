"""People: one row per identity at the login provider."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy import Column, Connection, Select, func, select

from tokenstore.core.model import Identity, Profile, UserId
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.tables import user_account
from tokenstore.store.texts import storable


class SqlUserStore:
    """The `UserStore` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, profile: Profile) -> UserId:
        """Insert or update the user of this identity.

        A name that the profile does not say stays as it was. An address does not: it may be no longer theirs.
        """
        with self._database.writing() as connection:
            return _put_user(connection, profile, renew=True)

    def profile(self, identity: Identity) -> Profile | None:
        """The stored profile, None if unknown or disabled."""
        user = user_account.c
        statement = _one(identity, user.name, user.email, user.email_verified)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else Profile(identity, row.name, row.email, row.email_verified)


def ensure_user(connection: Connection, profile: Profile) -> UserId:
    """The id of the user of this identity, inserted if unknown; a known one stays as it was.

    The row stays locked until the end of the transaction: whoever changes the set of a user's links holds it.
    """
    return _put_user(connection, profile, renew=False)


def _put_user(connection: Connection, profile: Profile, *, renew: bool) -> UserId:
    email = storable(profile.email)
    insert = insert_into(connection, user_account).values(
        id=uuid4(),
        issuer=profile.identity.issuer,
        subject=profile.identity.subject,
        name=storable(profile.name),
        email=email,
        email_verified=profile.email_verified and email is not None and email == profile.email,
        created_at=db_now(),
    )
    known, said = user_account.c, insert.excluded
    renewed = {
        "name": func.coalesce(said.name, known.name),
        "email": said.email,
        "email_verified": said.email_verified,
    }
    upsert = insert.on_conflict_do_update(
        index_elements=[known.issuer, known.subject], set_=renewed if renew else {"issuer": known.issuer}
    ).returning(known.id)
    return UserId(connection.execute(upsert).scalar_one())


def lock_user(connection: Connection, identity: Identity) -> UserId | None:
    """The id of a known user who is not disabled, the row locked as by `ensure_user`."""
    statement = _one(identity, user_account.c.id).with_for_update(key_share=True)
    found = connection.execute(statement).scalar_one_or_none()
    return None if found is None else UserId(found)


def _one(identity: Identity, *columns: Column[Any]) -> Select[*tuple[Any, ...]]:
    user = user_account.c
    return select(*columns).where(
        user.issuer == identity.issuer, user.subject == identity.subject, user.disabled_at.is_(None)
    )

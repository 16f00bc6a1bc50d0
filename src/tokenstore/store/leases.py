"""The lease: the right to spend a link's refresh token, a column that ends by itself and never a lock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, or_, update

from tokenstore.core.model import (
    Lease,
    Link,
    LinkState,
)
from tokenstore.core.ports import Failure
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.link_rows import (
    FREE,
    LINK_COLUMNS,
    at_version,
    current_context,
    held_by,
    previous_context,
    to_link,
    update_one,
)
from tokenstore.store.tables import link as table
from tokenstore.vault.vault import Vault


class LinkLeases:
    """The leasing part of the `LinkStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def take_lease(self, link: Link, owner: str, length: timedelta) -> Lease | None:
        """Take the right to spend the link's refresh token, if the link is as it was seen and free.

        Raises KeyUnavailable, with the lease given back, if the token cannot be opened.
        """
        columns = table.c
        previous = case((columns.prev_until > db_now(), columns.prev_sealed), else_=None)
        statement = (
            update(table)
            .where(
                at_version(link),
                columns.state.in_([LinkState.ACTIVE, LinkState.SUSPECT]),
                columns.refresh_sealed.is_not(None),
                or_(columns.lease_until.is_(None), columns.lease_until < db_now()),
                or_(columns.next_try_at.is_(None), columns.next_try_at <= db_now()),
            )
            .values(lease_owner=owner, lease_until=from_now(length))
            .returning(*LINK_COLUMNS, columns.lease_until, columns.refresh_sealed, previous)
        )
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        taken = to_link(row)
        until, sealed, previous_sealed = row[len(LINK_COLUMNS) :]
        try:
            refresh_token = self._vault.open(sealed, current_context(taken))
        except KeyUnavailable:
            self._give_back(taken, owner, {})
            raise
        return Lease(taken, owner, taken.version, until, refresh_token, self._previous(taken, previous_sealed))

    def renew_lease(self, lease: Lease, length: timedelta) -> bool:
        """Prolong a lease that nobody else has taken and whose link has not moved."""
        return self._update(held_by(lease.link, lease.owner), {"lease_until": from_now(length)})

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        """Give the lease back if it is still ours, recording the failure."""
        recorded: dict[str, Any] = {}
        if failure is not None:
            recorded = {
                "fail_count": table.c.fail_count + 1,
                "next_try_at": from_now(failure.retry_in) if failure.retry_in is not None else None,
                "last_error": failure.reason,
                "last_error_at": db_now(),
            }
        self._give_back(lease.link, lease.owner, recorded)

    def _give_back(self, held: Link, owner: str, recorded: dict[str, Any]) -> None:
        self._update(held_by(held, owner), {**FREE, **recorded})

    def _update(self, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
        with self._database.writing() as connection:
            return update_one(connection, where, values)

    def _previous(self, taken: Link, sealed: bytes | None) -> Secret | None:
        """The previous token; None also if it cannot be opened, as the current one can."""
        if sealed is None:
            return None
        try:
            return self._vault.open(sealed, previous_context(taken))
        except KeyUnavailable:
            return None

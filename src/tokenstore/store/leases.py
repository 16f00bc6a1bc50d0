"""The lease: the right to spend a link's refresh token, a column that ends by itself and never a lock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select, update

from tokenstore.core.model import (
    Lease,
    Link,
    LinkState,
)
from tokenstore.core.ports import Failure
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.base import db_now, from_now
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import (
    FREE,
    LINK_COLUMNS,
    at_version,
    current_context,
    failed,
    held_by,
    previous_context,
    to_link,
    update_one,
)
from tokenstore.store.tables import link as table
from tokenstore.store.tables import user_account


class LinkLeases(LinkPart):
    """The leasing part of the `LinkStore` port."""

    def take_lease(self, link: Link, owner: str, length: timedelta) -> Lease | None:
        """See the port. One statement; the database's clock decides."""
        columns = table.c
        previous = case((columns.prev_until > db_now(), columns.prev_sealed), else_=None)
        statement = (
            update(table)
            .where(
                at_version(link),
                columns.state.in_([LinkState.ACTIVE, LinkState.SUSPECT]),
                columns.refresh_sealed.is_not(None),
                _of_enabled_user(),
                or_(columns.lease_until.is_(None), columns.lease_until < db_now()),
                or_(columns.next_try_at.is_(None), columns.next_try_at <= db_now()),
            )
            .values(lease_owner=owner, lease_until=from_now(length))
            .returning(*LINK_COLUMNS, columns.refresh_sealed, previous)
        )
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        taken = to_link(row)
        sealed, previous_sealed = row[len(LINK_COLUMNS) :]
        try:
            refresh_token = self._vault.open(sealed, current_context(taken))
        except KeyUnavailable:
            self._give_back(taken, owner, {})
            raise
        return Lease(taken, owner, taken.version, refresh_token, self._previous(taken, previous_sealed))

    def renew_lease(self, lease: Lease, length: timedelta) -> bool:
        """See the port."""
        ours = and_(held_by(lease.link, lease.owner), _of_enabled_user())
        return self._update(ours, {"lease_until": from_now(length)})

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        """See the port."""
        self._give_back(lease.link, lease.owner, {} if failure is None else failed(failure))

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


def _of_enabled_user() -> ColumnElement[bool]:
    """Whether the link's user is not disabled: no refresh begins, or goes on, for one who is."""
    enabled = select(user_account.c.id).where(user_account.c.disabled_at.is_(None))
    return table.c.user_id.in_(enabled)

"""The lease: the right to spend a link's refresh token, a column that ends by itself and never a lock."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, or_, select, update

from tokenstore.core.model import NO_RESPECT, Doubt, Identity, Lease, Link, LinkId, LinkState, Respect
from tokenstore.core.ports import Base, Failure
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable
from tokenstore.store.base import db_now, from_now
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import (
    FREE,
    LINK_COLUMNS,
    PREVIOUS,
    at_version,
    current_context,
    failed,
    held_by,
    previous_context,
    to_link,
    update_one,
)
from tokenstore.store.quarantine import IN_QUARANTINE, AnotherProbe, claim_probe, may_be_tried
from tokenstore.store.tables import link as table
from tokenstore.store.tables import user_account

LEASE_COLUMNS = (*LINK_COLUMNS, table.c.refresh_sealed, PREVIOUS, IN_QUARANTINE)
"""What an UPDATE that takes leases returns for `LinkLeases.opened`."""


class LinkLeases(LinkPart):
    """The leasing part of the `LinkStore` port."""

    def take_lease(self, link: Link, owner: str, length: timedelta, respect: Respect = NO_RESPECT) -> Lease | None:
        """See the port. One statement, and one more in quarantine; the database's clock decides."""
        statement = (
            update(table)
            .where(at_version(link), may_be_leased(owner, respect))
            .values(leased(owner, length))
            .returning(*LEASE_COLUMNS)
        )
        row = None
        with suppress(AnotherProbe), self._database.writing() as connection:
            found = connection.execute(statement).first()
            if found is not None and found.in_quarantine:
                claim_probe(connection, link.provider_id)
            row = found
        return None if row is None else self.opened(row, owner)

    def opened(self, row: Row[*tuple[Any, ...]], owner: str) -> Lease:
        """The lease that a row of LEASE_COLUMNS gives. Raises KeyUnavailable; the lease is given back then."""
        taken = to_link(row)
        try:
            refresh_token = self._vault.open(row.refresh_sealed, current_context(taken))
        except Exception:  # nothing was sent
            self._give_back(taken, owner, {})
            raise
        return Lease(taken, owner, taken.version, refresh_token, self._previous(taken, row.previous_sealed))

    def base(self, link_id: LinkId) -> Base | None:
        """See the port."""
        person = user_account.c
        statement = (
            select(*LINK_COLUMNS, table.c.refresh_sealed, person.issuer.label("owner_issuer"), person.subject)
            .join_from(table, user_account)
            .where(table.c.id == link_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        found = to_link(row)
        sealed, issuer, subject = row[len(LINK_COLUMNS) :]
        token = None if sealed is None else self._vault.open(sealed, current_context(found))
        return Base(found, Identity(issuer, subject), token)

    def renew_lease(self, lease: Lease, length: timedelta, doubt: Doubt | None = None) -> bool:
        """See the port."""
        ours = and_(held_by(lease.link, lease.owner), _of_enabled_user())
        noted = {} if doubt is None else {"doubt": doubt.value}
        return self._update(ours, {"lease_until": from_now(length), **noted})

    def release_lease(self, lease: Lease, failure: Failure | None) -> None:
        """See the port."""
        self._give_back(lease.link, lease.owner, {} if failure is None else failed(failure))

    def give_back(self, link_ids: Collection[LinkId], owner: str) -> None:
        """Give back what this owner still has of these links, as nothing was sent."""
        with self._database.writing() as connection:
            connection.execute(update(table).where(table.c.id.in_(link_ids), table.c.lease_owner == owner).values(FREE))

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


def may_be_leased(owner: str, respect: Respect) -> ColumnElement[bool]:
    """Of which links this owner may take the lease: their refresh token may be tried now, and nobody is at it.

    `respect`: for the lease of another node than the owner's.
    """
    columns = table.c
    lapsed = columns.lease_until < db_now()
    if respect.length:
        own = columns.lease_owner.startswith(owner.partition("/")[0] + "/", autoescape=True)
        free = or_(own, columns.lease_until < from_now(-respect.length))
        if respect.but_first:
            early = and_(columns.lease_until > from_now(-respect.but_first), columns.doubt.is_(None))
            free = or_(free, early, columns.lease_until > from_now(-respect.but_in_doubt))
        lapsed = and_(lapsed, free)
    return and_(
        columns.state.in_([LinkState.ACTIVE, LinkState.SUSPECT]),
        columns.refresh_sealed.is_not(None),
        _of_enabled_user(),
        or_(columns.lease_until.is_(None), lapsed),
        or_(columns.next_try_at.is_(None), columns.next_try_at <= db_now()),
        may_be_tried(),
    )


def leased(owner: str, length: timedelta) -> dict[str, Any]:
    """Columns of a link of which the lease is taken: one that nobody gave back leaves it in doubt."""
    left = table.c.lease_owner.is_not(None)
    doubt = case((left, Doubt.INTERRUPTED.value), else_=table.c.doubt)
    return {"lease_owner": owner, "lease_until": from_now(length), "doubt": doubt}


def _of_enabled_user() -> ColumnElement[bool]:
    """Whether the link's user is not disabled: no refresh begins, or goes on, for one who is."""
    enabled = select(user_account.c.id).where(user_account.c.disabled_at.is_(None))
    return table.c.user_id.in_(enabled)

"""Links that the keeper looks after: claimed in one statement, some at a time, and given back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Row, and_, bindparam, case, exists, func, or_, select, type_coerce, update

from tokenstore.core.due import SHARE, Due
from tokenstore.core.model import NO_RESPECT, Asked, Identity, Lease, Link, LinkId, Provider, Respect
from tokenstore.errors import KeyUnavailable, StorageUnavailable
from tokenstore.store.base import Instant, db_now, from_now, milliseconds
from tokenstore.store.engine import Database
from tokenstore.store.leases import LEASE_COLUMNS, LinkLeases, leased, may_be_leased
from tokenstore.store.link_rows import FREE, LINK_COLUMNS, at_version, held_by, to_link, update_one
from tokenstore.store.patience import LOOK_SECONDS, unhurried
from tokenstore.store.tables import access_token, link, provider_state, user_account
from tokenstore.vault.vault import Vault

UNOPENED_FOR = timedelta(hours=1)
"""How long a link is put off that cannot be opened."""

_PUNCTUAL = timedelta(minutes=1)
"""How late a link may be due without being brought forward: what times differ by that were made in one statement."""

# Mostly nothing is due, and looking costs a fraction of what claiming does; on SQLite it waits for no writer either.
_ANY_DUE = (
    select(link.c.id)
    .where(
        link.c.provider_id == bindparam("provider"),
        link.c.client_id == bindparam("client"),
        link.c.due_at <= db_now(),
    )
    .limit(1)
)

_log = logging.getLogger(__name__)


class SqlDueLinks:
    """The `DueLinks` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._leases = LinkLeases(database, vault)

    def take_due(self, provider: Provider, owner: str, limit: int, respect: Respect = NO_RESPECT) -> Sequence[Due]:
        """See the port. One statement claims, a second reads what else is to be known of the claimed links."""
        self._vault.ready()  # else each would be claimed in vain
        if not self._any_due(provider):
            return []
        columns, state = link.c, provider_state.c
        quarantined = exists().where(state.provider_id == provider.id, state.quarantined_at.is_not(None))
        # As a CTE it runs once, whatever the planner makes of the rest, so that no more than `limit` are locked.
        chosen = (
            select(columns.id)
            .where(
                columns.provider_id == provider.id,
                columns.client_id == provider.client_id,
                columns.due_at <= db_now(),
                may_be_leased(owner, respect),
                ~quarantined,
            )
            .order_by(columns.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        claim = (
            update(link)
            .where(columns.id.in_(select(chosen.c.id)))
            .values(leased(owner, provider.rotation.lease))
            .returning(*LEASE_COLUMNS)
        )
        with self._database.writing() as connection:
            rows = connection.execute(claim).all()
            known = {row.id: row for row in connection.execute(_besides([row.id for row in rows]))} if rows else {}
        try:
            return [due for row in rows if (due := self._opened(row, known[row.id], owner)) is not None]
        except Exception:
            # Whoever took over what is left leased would find it in doubt, and nothing was sent.
            with suppress(StorageUnavailable):
                self._leases.give_back(known.keys(), owner)
            raise

    def bring_forward(self, provider: Provider, limit: int) -> int:
        """See the port. The time is the one that `core.due.decide` goes by.

        All links of the provider are looked through: by a read, as in `SqlPurge`.
        """
        if provider.refresh_idle is None:
            return 0
        columns, after = link.c, provider.refresh_idle * SHARE
        begun = type_coerce(func.coalesce(columns.last_refresh_at, columns.linked_at), BigInteger)
        due_at = type_coerce(begun + milliseconds(after), Instant)
        allowed = type_coerce(begun + milliseconds(after + _PUNCTUAL), Instant)
        late = select(columns.id).where(
            columns.provider_id == provider.id,
            columns.client_id == provider.client_id,
            or_(columns.due_at.is_(None), and_(columns.due_at > allowed, columns.due_at > db_now())),
            may_be_leased("", NO_RESPECT),
        )
        with unhurried(LOOK_SECONDS):
            with self._database.reading() as connection:
                found = list(connection.scalars(late.limit(limit)))
            if not found:
                return 0
            chosen = late.where(columns.id.in_(found)).with_for_update(skip_locked=True).cte("chosen")
            # Not the time of long ago, which would put them before all that is in use.
            values = {"due_at": case((due_at < db_now(), db_now()), else_=due_at)}
            statement = update(link).where(columns.id.in_(select(chosen.c.id))).values(values)
            with self._database.writing() as connection:
                return len(connection.execute(statement.returning(columns.id)).all())

    def reschedule(self, lease: Lease, due_in: timedelta | None) -> None:
        """See the port."""
        values = {**FREE, "due_at": None if due_in is None else from_now(due_in)}
        with self._database.writing() as connection:
            update_one(connection, held_by(lease.link, lease.owner), values)

    def _opened(self, row: Row[*tuple[Any, ...]], besides: Row[*tuple[Any, ...]], owner: str) -> Due | None:
        """What was claimed; None if it cannot be opened, and is put off."""
        try:
            lease = self._leases.opened(row, owner)
        except KeyUnavailable:
            self._put_off(to_link(row[: len(LINK_COLUMNS)]))
            return None
        whose = Identity(besides.issuer, besides.subject)
        return Due(lease, whose, besides.issued_at, besides.expires_at, besides.now)

    def _any_due(self, provider: Provider) -> bool:
        with self._database.reading() as connection:
            row = connection.execute(_ANY_DUE, {"provider": provider.id, "client": provider.client_id}).first()
        return row is not None

    def _put_off(self, unopened: Link) -> None:
        _log.error("a link cannot be opened and is put off", extra={"link": str(unopened.id)})
        with self._database.writing() as connection:
            still = and_(at_version(unopened), link.c.lease_until.is_(None), link.c.due_at <= db_now())
            update_one(connection, still, {"due_at": from_now(UNOPENED_FOR)})


class SqlUsedLinks:
    """The `UsedLinks` port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def used(self, link_ids: Collection[LinkId], at_least: timedelta) -> int:
        """See the port. Waits for nobody's lock, so that it cannot be part of a deadlock."""
        columns = link.c
        lately = columns.last_used_at > from_now(-at_least)
        chosen = (
            select(columns.id)
            .where(columns.id.in_(link_ids), or_(columns.last_used_at.is_(None), ~lately))
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        statement = update(link).where(columns.id.in_(select(chosen.c.id))).values(last_used_at=db_now())
        with self._database.writing() as connection:
            # Not by the row count: SQLite's driver does not know it after a WITH.
            return len(connection.execute(statement.returning(columns.id)).all())


def _besides(link_ids: Sequence[LinkId]) -> Any:
    """Whose these links are, and their plain access tokens."""
    token = access_token.c
    plain = and_(token.link_id == link.c.id, token.variant == Asked().variant)
    return (
        select(
            link.c.id,
            user_account.c.issuer,
            user_account.c.subject,
            token.issued_at,
            token.expires_at,
            db_now().label("now"),
        )
        .join_from(link, user_account)
        .outerjoin(access_token, plain)
        .where(link.c.id.in_(link_ids))
    )

"""Quarantine: a provider that refuses too many links at once is not believed, and asked about one link a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from tokenstore.core.model import ACCOUNT_CHANGED, AuditEvent, Link, LinkState, ProviderId
from tokenstore.core.refusals import BROKEN, PROBE_EVERY, QUARANTINED, SUSPECTED, MassRefusal
from tokenstore.store.audit import insert_event
from tokenstore.store.base import Instant, db_now, from_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.hot_read import HotRead
from tokenstore.store.tables import audit_event, link
from tokenstore.store.tables import provider_state as table

RETRY_WITHIN = timedelta(minutes=2)
"""Links that were suspect in quarantine are tried again within this time after it, one after the other."""

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SUSPICION = timedelta(hours=1)
"""How long before a quarantine the first refusal of a link may be whose second one is not believed any more."""
_GRANT = "token.refresh"
_REFUSALS = (SUSPECTED.action, BROKEN.action)
_events = audit_event.c
# Of links that were asked again, only the first of the two. Tokens of another account are not asked for again.
_IS_FIRST = or_(_events.action == SUSPECTED.action, _events.reason == ACCOUNT_CHANGED)

_columns = table.c
_of_link = _columns.provider_id == link.c.provider_id

# No correlated EXISTS: after an UPDATE on SQLite, columns are written without their tables.
_quarantined = select(_columns.provider_id).where(_columns.quarantined_at.is_not(None))
IN_QUARANTINE = link.c.provider_id.in_(_quarantined).label("in_quarantine")
"""Whether a link's provider is in quarantine, as a column that an UPDATE returns."""


_QUARANTINED = select(_columns.provider_id, _columns.quarantined_at).where(_columns.quarantined_at.is_not(None))


class AnotherProbe(Exception):
    """Another link of the provider has just been tried, so that this transaction must be given up."""


class SqlQuarantine:
    """The `QuarantineStore` port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._quarantined = HotRead(database, _QUARANTINED)  # each list of a user's links comes here

    def quarantined(self) -> Mapping[ProviderId, datetime]:
        """See the port."""
        return {ProviderId(provider_id): since for provider_id, since in self._quarantined.all({})}

    def next_probe(self, provider_id: ProviderId) -> timedelta | None:
        """See the port."""
        statement = select(_columns.probe_at, db_now()).where(
            _columns.provider_id == provider_id, _columns.quarantined_at.is_not(None)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else max(row[0] - row[1], timedelta())

    def begin(self, provider_id: ProviderId, event: AuditEvent) -> bool:
        """Put a provider into quarantine by hand; False: it is there already."""
        with self._database.writing() as connection:
            if is_quarantined(connection, provider_id):
                return False
            impose(connection, provider_id, MassRefusal(), event)
        return True

    def lift(self, provider_id: ProviderId, event: AuditEvent, *, believe: bool = False) -> bool:
        """See the port."""
        over = {"quarantined_at": None, "probe_at": None, "counted_from": db_now()}
        over |= {"given_up_before": db_now()} if believe else {}
        there = and_(_columns.provider_id == provider_id, _columns.quarantined_at.is_not(None))
        with self._database.writing() as connection:
            lifted = connection.execute(update(table).where(there).values(over)).rowcount == 1
            if lifted:
                soon = _spread(RETRY_WITHIN)
                suspects = and_(link.c.provider_id == provider_id, link.c.state == LinkState.SUSPECT)
                connection.execute(update(link).where(suspects).values(next_try_at=soon, due_at=soon))
                insert_event(connection, event)
        return lifted


def may_be_tried() -> ColumnElement[bool]:
    """Whether a link's provider is not in quarantine, or a probe is due there."""
    return ~exists().where(_of_link, _columns.probe_at > db_now())


def claim_probe(connection: Connection, provider_id: ProviderId) -> None:
    """Be the one link that is tried now. Raises AnotherProbe if another is."""
    due = and_(_columns.provider_id == provider_id, _columns.probe_at <= db_now())
    if connection.execute(update(table).where(due).values(probe_at=from_now(PROBE_EVERY))).rowcount != 1:
        raise AnotherProbe


def is_quarantined(connection: Connection, provider_id: ProviderId) -> bool:
    """Whether the provider is in quarantine."""
    there = exists().where(_columns.provider_id == provider_id, _columns.quarantined_at.is_not(None))
    return bool(connection.execute(select(there)).scalar_one())


def is_given_up(connection: Connection, held: Link) -> bool:
    """Whether an operator has said that the provider is to be believed if it refuses this link."""
    given_up = select(exists().where(link.c.id == held.id, _is_given_up(held.provider_id)))
    return bool(connection.execute(given_up).scalar_one())


def refuses_too_many(connection: Connection, held: Link, rule: MassRefusal) -> bool:
    """Whether the first refusal of this link, not written yet, makes a mass refusal of those in the rule's window.

    Those since the last grant are judged by themselves, too.
    """
    people = (
        select(link.c.user_id)
        .distinct()
        .join_from(audit_event, link, link.c.id == _events.link_id)
        .where(
            _counted(held.provider_id, _REFUSALS, rule.window),
            _IS_FIRST,
            ~_is_given_up(held.provider_id),
            link.c.user_id != held.user_id,
        )
    )
    refused = _number(connection, people) + 1
    most_granted = rule.most_granted(refused)
    if most_granted is None:
        return False
    of_grants = _counted(held.provider_id, (_GRANT,), rule.window)
    # One more than would be too many to count: their number does not matter then.
    granted = _number(connection, select(_events.id).where(of_grants).limit(most_granted + 1))
    if rule.applies(refused, granted):
        return True
    last_grant = connection.execute(select(func.max(_events.at)).where(of_grants)).scalar_one()
    in_a_row = refused if last_grant is None else _number(connection, people.where(_events.at > last_grant)) + 1
    return rule.applies(in_a_row, 0)


def impose(connection: Connection, provider_id: ProviderId, rule: MassRefusal, event: AuditEvent) -> None:
    """Put the provider into quarantine; links that broke within the rule's window are suspect again.

    Not those that an operator gave up by ending an earlier quarantine.
    """
    begun: dict[str, Any] = {"quarantined_at": db_now(), "probe_at": from_now(PROBE_EVERY)}
    insert = insert_into(connection, table).values(provider_id=provider_id, counted_from=_EVER, **begun)
    connection.execute(insert.on_conflict_do_update(index_elements=[_columns.provider_id], set_=begun))
    refused = select(_events.link_id).where(_counted(provider_id, _REFUSALS, _LONGEST_SUSPICION), _IS_FIRST)
    lately = and_(
        link.c.provider_id == provider_id,
        link.c.state == LinkState.BROKEN,
        link.c.last_error_at > from_now(-rule.window),
        link.c.refresh_sealed.is_not(None),
        link.c.id.in_(refused),
        ~_is_given_up(provider_id),
    )
    connection.execute(update(link).where(lately).values(state=LinkState.SUSPECT, next_try_at=db_now()))
    insert_event(connection, replace(event, action=QUARANTINED.action, link_id=None, user=None))


def move_quarantine(connection: Connection, old: ProviderId, new: ProviderId) -> None:
    """Give one provider's quarantine to another that has none, in the transaction under way."""
    others = [column for column in _columns if column is not _columns.provider_id]
    state = select(literal(new), *others).where(_columns.provider_id == old)
    names = ["provider_id", *(column.name for column in others)]
    connection.execute(insert_into(connection, table).from_select(names, state).on_conflict_do_nothing())
    connection.execute(delete(table).where(_columns.provider_id == old))


def _counted(provider_id: ProviderId, actions: tuple[str, ...], window: timedelta) -> ColumnElement[bool]:
    """Which events of a provider count: lately, and since an operator ended its quarantine."""
    return and_(
        _events.provider_id == provider_id,
        _events.action.in_(actions),
        _events.at > from_now(-window),
        _events.at > _state(provider_id, _columns.counted_from),
    )


def _is_given_up(provider_id: ProviderId) -> ColumnElement[bool]:
    """Which links of a provider were neither refreshed nor first linked since an operator believed it."""
    before = _state(provider_id, _columns.given_up_before)
    return and_(link.c.linked_at <= before, func.coalesce(link.c.last_refresh_at, literal(_EVER, Instant())) <= before)


def _state(provider_id: ProviderId, column: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """An instant that is kept of a provider; long ago, if none is."""
    kept = select(column).where(_columns.provider_id == provider_id).scalar_subquery()
    return func.coalesce(kept, literal(_EVER, Instant()))


def _number(connection: Connection, rows: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()


def _spread(over: timedelta) -> ColumnElement[datetime]:
    """An instant within this time, another one for each row."""
    milliseconds = over // timedelta(milliseconds=1)
    # Not RANDOM(), which differs between databases and may be taken once for all rows.
    shift = type_coerce(link.c.linked_at, BigInteger) % milliseconds
    return type_coerce(type_coerce(db_now(), BigInteger) + shift, Instant)

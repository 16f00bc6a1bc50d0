"""What a person chooses about links: names and the default. Under the lock of the user's row, like linking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, true, update

from tokenstore.core.model import AuditEvent, Chosen, Identity, Link, LinkId, LinkState
from tokenstore.store.audit import insert_event
from tokenstore.store.link_part import LinkPart
from tokenstore.store.link_rows import LINK_COLUMNS, same_row, to_link
from tokenstore.store.tables import link
from tokenstore.store.texts import storable
from tokenstore.store.users import lock_user


class LinkChoices(LinkPart):
    """The choosing part of the `LinkStore` port."""

    def choose(
        self, user: Identity, link_id: LinkId, chosen: Chosen, named: AuditEvent, default: AuditEvent
    ) -> Link | None:
        """See the port."""
        with self._database.writing() as connection:
            found = _find(connection, user, link_id)
            if found is None:
                return None
            label = storable(chosen.label) or None
            if chosen.label is not None and found.label != label:
                found = _change(connection, found, named, label=label)
            if chosen.default and not found.is_default:
                there = (link.c.user_id == found.user_id, link.c.provider_id == found.provider_id)
                connection.execute(update(link).where(*there, link.c.is_default == true()).values(is_default=False))
                found = _change(connection, found, default, is_default=True)
        return found


def _find(connection: Connection, user: Identity, link_id: LinkId) -> Link | None:
    user_id = lock_user(connection, user)
    if user_id is None:
        return None
    wanted = (link.c.id == link_id, link.c.user_id == user_id, link.c.state != LinkState.REVOKED)
    row = connection.execute(select(*LINK_COLUMNS).where(*wanted)).first()
    return None if row is None else to_link(row)


def _change(connection: Connection, found: Link, event: AuditEvent, **values: Any) -> Link:
    statement = update(link).where(same_row(found)).values(values).returning(*LINK_COLUMNS)
    changed = to_link(connection.execute(statement).one())
    insert_event(connection, replace(event, provider_id=found.provider_id, link_id=found.id))
    return changed

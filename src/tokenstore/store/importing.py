"""Storing links that come from the reference implementation, behind whatever has happened here since.

Under the lock of the user's row, as linking is; one transaction for each, so that a stopped import goes on. What was
done here is read from the events, which stay when the keeper has removed the rows that they are about.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, insert, select, update

from tokenstore.core.importing import Fate, ImportedLink
from tokenstore.core.model import AuditEvent, Identity, LinkId, LinkState, ProviderId, UserId
from tokenstore.store.access_tokens import join_scopes
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.link_rows import FREE, HEALTHY, first_row, refresh_context
from tokenstore.store.tables import audit_event, link, user_account
from tokenstore.vault.vault import Vault


class SqlLinkImports:
    """The `LinkImports` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._names: dict[ProviderId, Collection[str]] = {}

    def judge(self, new: ImportedLink) -> Fate:
        """See LinkImports.judge."""
        with self._database.reading() as connection:
            return self._fate(connection, connection.execute(_present(new)).first(), new)

    def put(self, new: ImportedLink, event: AuditEvent) -> Fate:
        """See LinkImports.put. Raises KeyUnavailable, StorageUnavailable."""
        self._vault.ready()
        with self._database.writing() as connection:
            user_id = _owner(connection, new.user)
            row = connection.execute(_present(new).with_for_update(key_share=True, of=link)).first()
            fate = self._fate(connection, row, new)
            if fate is Fate.IMPORTED:
                link_id = self._insert(connection, user_id, new)
            elif fate is Fate.RENEWED and row is not None:
                link_id = row.id
                moved = {"version": link.c.version + 1, "grant_version": link.c.version + 1}
                values = {**self._tokens(link_id, user_id, new), **moved}
                connection.execute(update(link).where(link.c.id == link_id).values(values))
            else:
                return fate
            insert_event(connection, replace(event, link_id=link_id))
        return fate

    def _fate(self, connection: Connection, present: Row[*tuple[Any, ...]] | None, new: ImportedLink) -> Fate:
        """What a person does here counts more than anything the reference has, and whenever it is done.

        A link that was neither made nor refreshed here is an earlier import. The reference may have gone on after it,
        and only its newest token is worth anything.
        """
        if present is None:
            # Which account was unlinked is no longer known. The reference seals at each refresh, so it knows no better.
            removed = self._happened(connection, "link.removed", new, *_of(new.user))
            return Fate.UNLINKED_SINCE if removed else Fate.IMPORTED
        if present.state == LinkState.REVOKED:
            return Fate.UNLINKED_SINCE
        made_here = audit_event.c.link_id == present.id
        if present.last_refresh_at is not None or self._happened(connection, "link.created", new, made_here):
            return Fate.LINKED_SINCE
        return Fate.RENEWED if new.sealed_at > present.linked_at else Fate.ALREADY_IMPORTED

    def _happened(self, connection: Connection, action: str, new: ImportedLink, *where: ColumnElement[bool]) -> bool:
        """Whether there is such an event at the provider, whatever it was called then."""
        provider_id = new.provider.id
        if provider_id not in self._names:
            self._names[provider_id] = _names(connection, provider_id)
        columns = audit_event.c
        there = exists().where(columns.provider_id.in_(self._names[provider_id]), columns.action == action, *where)
        return bool(connection.execute(select(there)).scalar_one())

    def _insert(self, connection: Connection, user_id: UserId, new: ImportedLink) -> LinkId:
        link_id = LinkId(uuid4())
        values = {
            **self._tokens(link_id, user_id, new),
            **first_row(link_id, user_id, new.provider.id, new.account),
            "account_email_verified": False,
        }
        connection.execute(insert(link).values(values))
        return link_id

    def _tokens(self, link_id: LinkId, user_id: UserId, new: ImportedLink) -> dict[str, Any]:
        """The columns that an import sets, for the first time or again.

        What was granted is taken to be what is configured: the reference asked for that and kept no answer. The next
        refresh says.
        """
        context = refresh_context(link_id, user_id, new.provider.id, new.provider.client_id)
        scopes = join_scopes(frozenset(new.provider.scopes))
        return {
            **FREE,
            **HEALTHY,
            "prev_sealed": None,
            "prev_until": None,
            "client_id": new.provider.client_id,
            "state": LinkState.ACTIVE,
            "refresh_sealed": self._vault.seal(new.refresh_token, context),
            "refresh_expires_at": new.refresh_expires_at,
            "scopes_requested": scopes,
            "scopes_granted": scopes,
            "linked_at": new.sealed_at,
            # The keeper works out by itself when there is something to do.
            "due_at": db_now(),
        }


def _owner(connection: Connection, identity: Identity) -> UserId:
    """The id of the user of this identity, inserted if need be, the row locked; what is known of them stays."""
    known = user_account.c
    new = insert_into(connection, user_account).values(
        id=uuid4(), issuer=identity.issuer, subject=identity.subject, email_verified=False, created_at=db_now()
    )
    upsert = new.on_conflict_do_update(
        index_elements=[known.issuer, known.subject], set_={"subject": new.excluded.subject}
    )
    return UserId(connection.execute(upsert.returning(known.id)).scalar_one())


def _present(new: ImportedLink) -> Select[*tuple[Any, ...]]:
    """The link to this account that is here already, revoked or not."""
    columns = link.c
    return (
        select(columns.id, columns.state, columns.linked_at, columns.last_refresh_at)
        .join_from(link, user_account, columns.user_id == user_account.c.id)
        .where(
            user_account.c.issuer == new.user.issuer,
            user_account.c.subject == new.user.subject,
            columns.provider_id == new.provider.id,
            columns.issuer == new.account.issuer,
            columns.subject == new.account.subject,
        )
    )


def _of(user: Identity) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return audit_event.c.user_issuer == user.issuer, audit_event.c.user_subject == user.subject


def _names(connection: Connection, provider_id: ProviderId) -> Collection[str]:
    """The ids that the provider has and had, since events keep the id of their time."""
    columns = audit_event.c
    known: set[str] = set()
    found: set[str] = {provider_id}
    while found:
        known |= found
        moved = select(columns.reason).where(columns.provider_id.in_(found), columns.action == "link.moved").distinct()
        found = set(connection.scalars(moved)) - known
    return known

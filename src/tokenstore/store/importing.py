"""Storing links that come from the reference implementation, behind whatever has happened here since.

Under the lock of the user's row, as linking is; one transaction for each, so that a stopped import goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, exists, insert, select, update

from tokenstore.core.importing import Fate, ImportedLink
from tokenstore.core.model import AuditEvent, Identity, LinkId, LinkState, UserId
from tokenstore.store.access_tokens import join_scopes
from tokenstore.store.audit import insert_event
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.link_rows import FREE, HEALTHY, has_default, refresh_context
from tokenstore.store.tables import access_token, link, user_account
from tokenstore.vault.vault import Vault

_IN_USE = link.c.last_refresh_at.is_not(None) | exists().where(access_token.c.link_id == link.c.id)


class SqlLinkImports:
    """The `LinkImports` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def judge(self, new: ImportedLink) -> Fate:
        """See LinkImports.judge."""
        with self._database.reading() as connection:
            return _fate(connection.execute(_present(new)).first(), new)

    def put(self, new: ImportedLink, event: AuditEvent) -> Fate:
        """See LinkImports.put. Raises KeyUnavailable, StorageUnavailable."""
        self._vault.ready()
        with self._database.writing() as connection:
            user_id = _owner(connection, new.user)
            row = connection.execute(_present(new).with_for_update(key_share=True, of=link)).first()
            fate = _fate(row, new)
            if fate is Fate.IMPORTED:
                link_id = self._insert(connection, user_id, new)
            elif fate is Fate.RENEWED and row is not None:
                link_id = row.id
                values = {**self._tokens(link_id, user_id, new), "version": link.c.version + 1}
                connection.execute(update(link).where(link.c.id == link_id).values(values))
            else:
                return fate
            insert_event(connection, replace(event, link_id=link_id))
        return fate

    def _insert(self, connection: Connection, user_id: UserId, new: ImportedLink) -> LinkId:
        link_id = LinkId(uuid4())
        values = {
            **self._tokens(link_id, user_id, new),
            "id": link_id,
            "user_id": user_id,
            "provider_id": new.provider.id,
            "issuer": new.account.issuer,
            "subject": new.account.subject,
            "account_email_verified": False,
            "is_default": ~has_default(user_id, new.provider.id),
            "version": 1,
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
        select(columns.id, columns.state, columns.linked_at, _IN_USE.label("in_use"))
        .join_from(link, user_account, columns.user_id == user_account.c.id)
        .where(
            user_account.c.issuer == new.user.issuer,
            user_account.c.subject == new.user.subject,
            columns.provider_id == new.provider.id,
            columns.issuer == new.account.issuer,
            columns.subject == new.account.subject,
        )
    )


def _fate(present: Row[*tuple[Any, ...]] | None, new: ImportedLink) -> Fate:
    """What a person does here counts more than anything the reference has.

    A link that was neither made nor refreshed here has no access token: only an import leaves one so. The reference may
    have gone on after it, and only its newest token is worth anything.
    """
    if present is None:
        return Fate.IMPORTED
    if present.state == LinkState.REVOKED:
        return Fate.UNLINKED_SINCE
    if present.in_use:
        return Fate.LINKED_SINCE
    return Fate.RENEWED if new.sealed_at > present.linked_at else Fate.ALREADY_IMPORTED

"""Linking an account in place of others: all of it or nothing, under the lock of the user's row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Select, or_, select, true

from tokenstore.core.model import AuditEvent, LinkId, ProviderId, UserId
from tokenstore.core.ports import NewLink, Swapped
from tokenstore.store.audit import insert_event
from tokenstore.store.linking import LinkAttachments
from tokenstore.store.tables import link
from tokenstore.store.unlinking import LinkRemovals, to_unlink
from tokenstore.store.users import ensure_user


class LinkSwaps(LinkAttachments, LinkRemovals):
    """The linking and unlinking parts of the `LinkStore` port, and both at once."""

    def swap(self, new: NewLink, replaced: Collection[LinkId], event: AuditEvent) -> Swapped:
        """See the port. The old links go first: then the new one is the default if one of them was."""
        self._vault.ready()
        account, provider_id = new.account, new.provider.id
        removal = replace(event, action="link.removed", reason="replaced")
        with self._database.writing() as connection:
            user_id = ensure_user(connection, new.user)
            chosen = to_unlink(user_id, provider_id, None).where(
                or_(link.c.issuer != account.issuer, link.c.subject != account.subject)
            )
            if new.provider.multi_account:
                chosen = chosen.where(link.c.id.in_(replaced))
            default = connection.execute(_default(user_id, provider_id)).scalar_one_or_none()
            removed = self._unlink(connection, chosen, removal)
            attached = self._attach(connection, user_id, new, event)
            if any(gone.link.id == default for gone in removed):
                passed_on = replace(event, action="link.default", provider_id=provider_id, link_id=attached.id)
                insert_event(connection, passed_on)
        return Swapped(attached, removed)


def _default(user_id: UserId, provider_id: ProviderId) -> Select[LinkId]:
    columns = link.c
    mine = (columns.user_id == user_id, columns.provider_id == provider_id)
    return select(columns.id).where(*mine, columns.is_default == true())

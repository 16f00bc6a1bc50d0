"""The `LinkStore` port, put together from its parts."""

from __future__ import annotations

from tokenstore.store.choices import LinkChoices
from tokenstore.store.leases import LinkLeases
from tokenstore.store.linking import LinkAttachments
from tokenstore.store.reading import LinkReads
from tokenstore.store.saving import LinkSaves
from tokenstore.store.unlinking import LinkRemovals


class SqlLinkStore(LinkReads, LinkLeases, LinkSaves, LinkAttachments, LinkRemovals, LinkChoices):
    """Links in the database; every part has its module."""

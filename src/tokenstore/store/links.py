"""The `LinkStore` port, put together from its parts."""

from __future__ import annotations

from tokenstore.store.choices import LinkChoices
from tokenstore.store.leases import LinkLeases
from tokenstore.store.reading import LinkReads
from tokenstore.store.saving import LinkSaves
from tokenstore.store.swapping import LinkSwaps


class SqlLinkStore(LinkReads, LinkLeases, LinkSaves, LinkSwaps, LinkChoices):
    """Links in the database; every part has its module."""

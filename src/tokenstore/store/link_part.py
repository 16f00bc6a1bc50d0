"""What the parts of the `LinkStore` port have in common."""

from __future__ import annotations

from tokenstore.store.engine import Database
from tokenstore.vault.vault import Vault


class LinkPart:
    """One part of the `LinkStore` port: links in this database, their secrets sealed by this vault."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

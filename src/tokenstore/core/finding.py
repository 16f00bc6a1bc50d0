"""Finding one of a user's links by its id, wherever it is."""

from __future__ import annotations

from tokenstore.core.model import Identity, LinkId
from tokenstore.core.ports import LinkStore, Standing
from tokenstore.errors import NotFound


def find_standing(links: LinkStore, user: Identity, link_id: LinkId) -> Standing:
    """The user's link of this id. Raises NotFound, StorageUnavailable."""
    found = next((one for one in links.standings(user) if one.link.id == link_id), None)
    if found is None:
        raise NotFound("You have no such link. The list of your links shows which there are.")
    return found

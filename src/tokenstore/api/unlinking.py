"""`POST /{provider}/revoke` and `DELETE /links/{id}`: unlinking, with a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict
from uuid import UUID

from flask import Blueprint, Response, jsonify

from tokenstore.api.parameters import Problems, json_object, link_id
from tokenstore.core.model import LinkId, RevocationResult
from tokenstore.core.unlinking import Receipt
from tokenstore.errors import NotFound
from tokenstore.identity.guards import Guards
from tokenstore.web.openapi import meaning
from tokenstore.web.services import Services

WORST_FIRST = (
    RevocationResult.FAILED,
    RevocationResult.QUEUED,
    RevocationResult.UNSUPPORTED,
    RevocationResult.CONFIRMED,
)


class UnlinkedJson(TypedDict):
    """A link that is gone."""

    link: Annotated[str, meaning("Its id", format="uuid")]
    upstream: Annotated[str, meaning("What the provider said", enum=list(RevocationResult))]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the unlinking routes to the API."""

    @blueprint.post("/<provider>/revoke")
    def revoke(provider: str) -> Response:
        """Unlink all of the caller's links at a provider, or the one named `link`; fine when nothing is linked."""
        caller = guards.require_user().caller
        problems = Problems()
        wanted = link_id(json_object(), problems)
        problems.raise_if_any()
        receipts = services.unlinking.unlink(caller, provider_id=provider, link_id=wanted)
        response = jsonify("Token revoked")
        if receipts:
            response.headers["X-Upstream-Revocation"] = worst(receipts).value
        return response

    @blueprint.delete("/links/<uuid:link>")
    def delete_link(link: UUID) -> Response:
        """Unlink one account."""
        caller = guards.require_user().caller
        receipts = services.unlinking.unlink(caller, link_id=LinkId(link))
        if not receipts:
            raise NotFound("There is no such link of yours.")
        return jsonify(UnlinkedJson(link=str(link), upstream=worst(receipts).value))


def worst(receipts: Sequence[Receipt]) -> RevocationResult:
    """The least certain receipt of several."""
    got = {receipt.upstream for receipt in receipts}
    return next(result for result in WORST_FIRST if result in got)

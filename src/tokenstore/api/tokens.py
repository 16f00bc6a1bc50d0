"""`GET|POST /{provider}/token`: the one call that matters; and the same for a link by its id."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict
from uuid import UUID

from flask import Blueprint, Response, request

from tokenstore.api.parameters import TokenRequest, token_request
from tokenstore.core.model import Caller, CallerKind, HandOut, LinkId
from tokenstore.errors import FieldProblem, InvalidRequest
from tokenstore.identity.guards import Guards
from tokenstore.web.jsontext import json_text
from tokenstore.web.openapi import meaning
from tokenstore.web.services import Services

log = logging.getLogger(__name__)

TOKEN_ROUTE = "/api/v1.0/<provider>/token"
"""The route of the call that matters, as Flask has it with the prefix of the API."""


class TokenJson(TypedDict):
    """An access token that was given out."""

    access_token: str
    token_type: Annotated[str, meaning("Always `Bearer`", enum=["Bearer"])]
    expires_in: Annotated[int | None, meaning("Seconds, rounded down; null: the provider did not say")]
    expires_at: Annotated[int | None, meaning("Epoch seconds; null: the provider did not say")]
    scope: Annotated[str, meaning("Granted scopes of this token, sorted, spaces between")]
    link: Annotated[str, meaning("The link's id", format="uuid")]
    cached: Annotated[bool, meaning("Whether no provider call was made for this answer")]
    extra: Annotated[Mapping[str, Any], meaning("Kept fields of the provider's answer")]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the token routes to the API."""

    def give(caller: Caller, provider: str, link_id: LinkId | None, wanted: TokenRequest) -> Response:
        environ = request.environ
        handed = services.tokens.fresh_token(
            caller,
            provider,
            link_id=link_id,
            asked=wanted.asked,
            min_valid=wanted.min_valid,
            force=wanted.force,
            may_refresh=environ["REQUEST_METHOD"] != "HEAD" and "prefetch" not in environ.get("HTTP_SEC_PURPOSE", ""),
        )
        log_hand_out(caller, provider, handed)
        return Response(json_text(token_answer(handed)), content_type="application/json")

    @blueprint.route("/<provider>/token", methods=["GET", "HEAD", "POST"])
    def token(provider: str) -> Response:
        """A fresh access token of the caller's link. HEAD and prefetch never cause a refresh."""
        caller = guards.require_user().caller
        if caller.kind is CallerKind.SESSION:
            services.csrf.refuse_cross_site_get()
        wanted = token_request()
        return give(caller, provider, wanted.link_id, wanted)

    @blueprint.route("/links/<uuid:link>/token", methods=["GET", "HEAD", "POST"])
    def token_of_link(link: UUID) -> Response:
        """The same for one link, for callers that keep its id; costs one more read than naming the provider."""
        caller = guards.require_user().caller
        if caller.kind is CallerKind.SESSION:
            services.csrf.refuse_cross_site_get()
        wanted = token_request()
        if wanted.link_id is not None:
            raise InvalidRequest(
                "The address names the link already.", errors=[FieldProblem("link", "is not a parameter of this call")]
            )
        found = services.overview.find(caller, LinkId(link))
        return give(caller, found.provider_id, found.id, wanted)


def token_answer(handed: HandOut) -> TokenJson:
    """The JSON of a hand-out: `expires_in` in whole seconds, rounded down; `expires_at` in epoch seconds."""
    token = handed.token
    return {
        "access_token": token.value.reveal(),
        "token_type": "Bearer",
        "expires_in": None if handed.expires_in is None else math.floor(handed.expires_in.total_seconds()),
        "expires_at": None if token.expires_at is None else math.floor(token.expires_at.timestamp()),
        "scope": " ".join(sorted(token.scopes)),
        "link": str(handed.link_id),
        "cached": handed.cached,
        "extra": token.extra,
    }


def log_hand_out(caller: Caller, provider_id: str, handed: HandOut) -> None:
    """One line per hand-out; the subject and the link, never the token."""
    log.info(
        "hand-out",
        extra={
            "kind": caller.kind.value,
            "subject": caller.identity.subject,
            "client": caller.client,
            "provider": provider_id,
            "link": str(handed.link_id),
            "cached": handed.cached,
        },
    )

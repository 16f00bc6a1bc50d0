"""`GET|POST /{provider}/token`: the one call that matters."""

from __future__ import annotations

import logging
import math

from flask import Blueprint, Response, jsonify, request

from tokenstore.api.parameters import token_request
from tokenstore.core.model import Caller, CallerKind, HandOut
from tokenstore.identity.guards import Guards
from tokenstore.web.services import Services

log = logging.getLogger(__name__)


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the token route to the API."""

    @blueprint.route("/<provider>/token", methods=["GET", "HEAD", "POST"])
    def token(provider: str) -> Response:
        """A fresh access token of the caller's link. HEAD and prefetch never cause a refresh."""
        caller = guards.require_user().caller
        if caller.kind is CallerKind.SESSION:
            services.csrf.refuse_cross_site_get()
        wanted = token_request()
        handed = services.tokens.fresh_token(
            caller,
            provider,
            link_id=wanted.link_id,
            asked=wanted.asked,
            min_valid=wanted.min_valid,
            force=wanted.force,
            may_refresh=request.method != "HEAD" and "prefetch" not in request.headers.get("Sec-Purpose", ""),
        )
        log_hand_out(caller, provider, handed)
        return jsonify(token_answer(handed))


def token_answer(handed: HandOut) -> dict[str, object]:
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

"""`/{provider}/authorize` and `/{provider}/redirect_uri`: linking an account, begun here or by a program."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tokenstore.api.parameters import Problems, json_object, one_text
from tokenstore.core.attempts import Begun
from tokenstore.core.model import Callback, Caller, CallerKind
from tokenstore.errors import ReturnUrlRefused
from tokenstore.identity.guards import Guards
from tokenstore.web.navigation import is_wanted_navigation
from tokenstore.web.services import Services


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the linking routes to the API."""

    def begin(caller: Caller, provider: str, return_url: str | None, referer: str | None) -> Begun:
        choice = services.returns.choose(return_url, referer)
        if choice.refused and caller.kind is CallerKind.BEARER:
            raise ReturnUrlRefused("The return address is not one of the allowed ones (RETURN_URL_ORIGINS).")
        return services.linking.begin(caller, provider, choice.url)

    @blueprint.get("/<provider>/authorize")
    def authorize(provider: str) -> BaseResponse:
        """Redirect to the provider. A browser that did not come from a page of ours is asked first."""
        caller = guards.require_user().caller
        services.registry.get(provider)
        if caller.kind is CallerKind.SESSION and not is_wanted_navigation(services.returns):
            choice = services.returns.choose(request.args.get("return_url"), request.referrer)
            return redirect(url_for("ui.start", provider_id=provider, return_url=choice.url), 302)
        return redirect(begin(caller, provider, request.args.get("return_url"), request.referrer).location, 302)

    @blueprint.post("/<provider>/authorize")
    def authorize_for_program(provider: str) -> Response:
        """Begin an attempt for a program: 201, the provider's address in `Location` and in the body."""
        caller = guards.require_user().caller
        problems = Problems()
        body = json_object()
        return_url = one_text(body, "return_url", problems) or one_text(body, "referer", problems)
        problems.raise_if_any()
        begun = begin(caller, provider, return_url, None)
        response = jsonify({"authorize_url": begun.location, "expires_at": int(begun.expires_at.timestamp())})
        response.status_code = 201
        response.headers["Location"] = begun.location
        return response

    @blueprint.get("/<provider>/redirect_uri")
    def redirect_uri(provider: str) -> BaseResponse:
        """Take the provider's answer and go back to exactly where the attempt was begun from."""
        visitor = guards.visitor()
        callback = Callback({name: tuple(request.args.getlist(name)) for name in request.args})
        linked = services.linking.complete(visitor.caller if visitor else None, provider, callback)
        return redirect(linked.return_url, 302)

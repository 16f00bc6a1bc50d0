"""`/{provider}/authorize` and `/{provider}/redirect_uri`: linking an account, begun here or by a program."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from flask import Blueprint, Response, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tokenstore.api.parameters import Problems, json_object, one_text, query_values
from tokenstore.core.attempts import Begun
from tokenstore.core.model import Caller, CallerKind
from tokenstore.core.ports import Waiting
from tokenstore.core.wishes import PARAMETERS, Wishes, read_wishes
from tokenstore.errors import ReturnUrlRefused, TokenStoreError
from tokenstore.identity.guards import Guards
from tokenstore.identity.navigation import callback_of_request, is_wanted_navigation, require_navigation
from tokenstore.web.openapi import meaning
from tokenstore.web.results import after_error, after_linking
from tokenstore.web.services import Services


class BegunJson(TypedDict):
    """An attempt to link that is begun."""

    authorize_url: Annotated[str, meaning("Where the person's browser has to go", format="uri")]
    expires_at: Annotated[int, meaning("Until when, in epoch seconds")]


def add_routes(blueprint: Blueprint, services: Services, guards: Guards) -> None:
    """Add the linking routes to the API."""

    def begin(caller: Caller, provider: str, return_url: str | None, referer: str | None, wishes: Wishes) -> Begun:
        choice = services.returns.choose(return_url, referer, caller)
        if choice.refused and caller.kind is not CallerKind.SESSION:
            raise ReturnUrlRefused("The return address is not one of the allowed ones (RETURN_URL_ORIGINS).")
        return services.linking.begin(caller, provider, choice.url, wishes)

    @blueprint.get("/<provider>/authorize")
    def authorize(provider: str) -> BaseResponse:
        """Redirect to the provider. A browser that did not come from a page of ours is asked first."""
        caller = guards.require_user().caller
        services.registry.get(provider)
        problems = Problems()
        wishes = wishes_in(query_values(), problems)
        if request.method == "HEAD" or (
            caller.kind is CallerKind.SESSION and not is_wanted_navigation(services.returns)
        ):
            choice = services.returns.choose(request.args.get("return_url"), request.referrer, caller)
            carried: dict[str, Any] = {"return_url": choice.url, **wishes.parameters()}
            return redirect(url_for("ui.start", provider_id=provider, **carried), 302)
        begun = begin(caller, provider, request.args.get("return_url"), request.referrer, wishes)
        return redirect(begun.location, 302)

    @blueprint.post("/<provider>/authorize")
    def authorize_for_program(provider: str) -> Response:
        """Begin an attempt for a program: 201, the provider's address in `Location` and in the body."""
        caller = guards.require_user().caller
        problems = Problems()
        body = json_object()
        return_url, referer = (one_text(body, name, problems) for name in ("return_url", "referer"))
        begun = begin(caller, provider, return_url or referer, None, wishes_in(body, problems))
        response = jsonify(BegunJson(authorize_url=begun.location, expires_at=int(begun.expires_at.timestamp())))
        response.status_code = 201
        response.headers["Location"] = begun.location
        return response

    @blueprint.get("/<provider>/redirect_uri")
    def redirect_uri(provider: str) -> BaseResponse:
        """Take the provider's answer and go back to exactly where the attempt was begun from."""
        require_navigation()
        visitor = guards.visitor()
        caller = visitor.caller if visitor else None
        try:
            linked = services.completing.complete(caller, provider, callback_of_request(), guards.origin())
        except TokenStoreError as error:
            if error.report_to is None:
                raise
            if services.shows_notices(error.report_to.return_url):
                flash(error.detail)
            return redirect(after_error(error.report_to, error), 302)
        if isinstance(linked, Waiting):
            return redirect(url_for("ui.ask", waiting_id=linked.id), 302)
        if services.shows_notices(linked.return_url):
            name = linked.provider.metadata.name or provider
            flash(f"{name} was already linked; its access is renewed." if linked.renewed else f"{name} is linked.")
        return redirect(after_linking(linked.return_url, provider, reports=linked.reports), 302)


def wishes_in(values: dict[str, object], problems: Problems) -> Wishes:
    """The wishes among the values of a request. Raises InvalidRequest, also for problems found before."""
    texts = {name: one_text(values, name, problems) for name in PARAMETERS}
    problems.raise_if_any()
    return read_wishes(texts)

"""The routes of the pages. Each parses, calls a service and renders; errors go to the one handler in `web.problems`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from tokenstore.core.model import Caller, LinkId, Provider, ProviderKind
from tokenstore.core.overview import LinkOverview
from tokenstore.errors import NotFound, Unauthenticated
from tokenstore.identity.guards import Guards
from tokenstore.identity.user import Authenticated
from tokenstore.ui.words import init_words, provider_name, receipt_text
from tokenstore.web.services import Services

ANOTHER = "another"
"""Value of the parameter `account` of a start page: the person wants to choose the account at the provider."""


def create_blueprint(services: Services, guards: Guards) -> Blueprint:
    """The pages with their templates and static files (`/static`). Also gives all templates the words and addresses."""
    blueprint = Blueprint("ui", __name__, template_folder="templates", static_folder="static")
    pages = Pages(services, guards)
    blueprint.add_url_rule("/", view_func=pages.index)
    blueprint.add_url_rule("/link/<provider_id>", view_func=pages.start)
    blueprint.add_url_rule("/link/<provider_id>", view_func=pages.begin, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/unlink", view_func=pages.confirm_unlink)
    blueprint.add_url_rule("/links/<uuid:link_id>/unlink", view_func=pages.unlink, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/token", view_func=pages.token, methods=["POST"])
    blueprint.app_context_processor(pages.addresses)
    init_words(blueprint)
    return blueprint


class Pages:
    """The views. People are known by their browser session only."""

    def __init__(self, services: Services, guards: Guards) -> None:
        self._services = services
        self._guards = guards

    def addresses(self) -> dict[str, Any]:
        """Where log-in links and log-out forms of any template lead; both come back to the index."""
        landing = self._services.returns.landing
        return {
            "login_url": self._login_url(landing),
            "logout_url": self._services.public_url.absolute("/api/oidc/logout"),
        }

    def index(self) -> ResponseReturnValue:
        """What the store is; for a person who is logged in, every provider with the linked accounts."""
        visitor = self._guards.visitor()
        if visitor is None:
            return render_template("signed_out.html")
        overviews = self._services.overview.authorizations(visitor.caller)
        return render_template("index.html", user=visitor.user, overviews=overviews)

    def start(self, provider_id: str) -> ResponseReturnValue:
        """Names the provider, its host and the scopes before anything is begun. Raises UnknownProvider."""
        choice = self._services.returns.choose(request.args.get("return_url"), request.referrer)
        account = ANOTHER if request.args.get("account") == ANOTHER else None
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.start", provider_id=provider_id, return_url=choice.url, account=account))
        provider = self._services.registry.get(provider_id)
        return render_template(
            "start.html", user=visitor.user, provider=provider, return_url=choice.url, account=account
        )

    def begin(self, provider_id: str) -> ResponseReturnValue:
        """Begins the linking and sends the browser on by a page of its own.

        A redirect would be stopped: Chromium applies `form-action 'self'` to redirects after a form's POST, too.
        """
        visitor = self._require_visitor()
        provider = self._services.registry.get(provider_id)
        choice = self._services.returns.choose(request.form.get("return_url"))
        hints = _choose_account(provider) if request.form.get("account") == ANOTHER else None
        begun = self._services.linking.begin(visitor.caller, provider_id, choice.url, hints)
        return render_template("continue.html", location=begun.location, name=provider_name(provider))

    def confirm_unlink(self, link_id: UUID) -> ResponseReturnValue:
        """Names what would be unlinked and asks. Raises NotFound."""
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.confirm_unlink", link_id=link_id))
        provider, overview = self._find(visitor.caller, link_id)
        return render_template("unlink.html", user=visitor.user, provider=provider, link=overview.standing.link)

    def unlink(self, link_id: UUID) -> ResponseReturnValue:
        """Unlinks one account and shows the receipt on the index; doing it twice does no harm."""
        caller = self._require_visitor().caller
        receipts = self._services.linking.unlink(caller, link_id=LinkId(link_id))
        for receipt in receipts:
            flash(receipt_text(self._services.registry.get(receipt.link.provider_id), receipt))
        if not receipts:
            flash("This account is not linked any more.")
        return redirect(url_for("ui.index"), 303)

    def token(self, link_id: UUID) -> ResponseReturnValue:
        """Shows a fresh access token, this once. Raises NotFound and what TokenService raises."""
        visitor = self._require_visitor()
        provider, overview = self._find(visitor.caller, link_id)
        link = overview.standing.link
        hand_out = self._services.tokens.fresh_token(visitor.caller, provider.id, link_id=link.id)
        return render_template("token.html", user=visitor.user, provider=provider, link=link, hand_out=hand_out)

    def _find(self, caller: Caller, link_id: UUID) -> tuple[Provider, LinkOverview]:
        for overview in self._services.overview.authorizations(caller):
            for link in overview.links:
                if link.standing.link.id == link_id:
                    return overview.provider, link
        raise NotFound("You have no such link. The list of your accounts shows which there are.")

    def _require_visitor(self) -> Authenticated:
        visitor = self._guards.visitor()
        if visitor is None:
            raise Unauthenticated("You are not logged in any more. Log in and try again.")
        return visitor

    def _to_login(self, path: str) -> ResponseReturnValue:
        return redirect(self._login_url(path), 302)

    def _login_url(self, return_url: str) -> str:
        return self._services.public_url.absolute(f"/api/oidc/login?{urlencode({'return_url': return_url})}")


def _choose_account(provider: Provider) -> dict[str, str] | None:
    """Asks an OpenID provider to offer a choice, which it otherwise skips for who is signed in there."""
    if provider.kind is not ProviderKind.OIDC:
        return None
    prompts = [*(provider.prompt or "").split(), "select_account"]
    return {"prompt": " ".join(dict.fromkeys(prompts))}

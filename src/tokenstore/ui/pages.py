"""The routes of the pages. Each parses, calls a service and renders; errors go to the one handler in `web.problems`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from tokenstore.core.confirming import Choice
from tokenstore.core.model import Chosen, LinkId, Provider, ProviderKind
from tokenstore.core.wishes import Wishes, read_wishes
from tokenstore.errors import InvalidRequest, NotFound, TokenStoreError, Unauthenticated
from tokenstore.identity.browser import known_login
from tokenstore.identity.guards import Guards
from tokenstore.identity.user import Authenticated
from tokenstore.ui.ways_out import ways_out
from tokenstore.ui.words import init_words, link_name, provider_name, receipt_text
from tokenstore.web.results import after_cancelling, after_error, after_linking
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
    blueprint.add_url_rule("/confirm/<uuid:waiting_id>", view_func=pages.ask)
    blueprint.add_url_rule("/confirm/<uuid:waiting_id>", view_func=pages.decide, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/unlink", view_func=pages.confirm_unlink)
    blueprint.add_url_rule("/links/<uuid:link_id>/unlink", view_func=pages.unlink, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/token", view_func=pages.token, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/label", view_func=pages.label, methods=["POST"])
    blueprint.add_url_rule("/links/<uuid:link_id>/default", view_func=pages.make_default, methods=["POST"])
    # What a person may type, or come back to by the browser's history.
    blueprint.add_url_rule("/links/<uuid:link_id>", view_func=pages.to_index)
    blueprint.add_url_rule("/links/<uuid:link_id>/token", view_func=pages.to_index)
    blueprint.add_url_rule("/sessions", view_func=pages.sessions)
    blueprint.add_url_rule("/sessions", view_func=pages.end_sessions, methods=["POST"])
    blueprint.add_url_rule("/sessions/<uuid:session_id>/end", view_func=pages.end_session, methods=["POST"])
    blueprint.app_context_processor(pages.addresses)
    init_words(blueprint)
    return blueprint


class Pages:
    """The views. People are known by their browser session only."""

    def __init__(self, services: Services, guards: Guards) -> None:
        self._services = services
        self._guards = guards

    def addresses(self) -> dict[str, Any]:
        """For any template: where log-in links and log-out forms lead, both back to the index; ways out of errors."""
        landing = self._services.returns.landing
        return {
            "login_url": self._login_url(landing),
            "logout_url": self._services.public_url.absolute("/api/oidc/logout"),
            "ways_out": partial(ways_out, self._guards),
        }

    def index(self) -> ResponseReturnValue:
        """What the store is; for a person who is logged in, every provider with the linked accounts."""
        visitor = self._guards.visitor()
        if visitor is None:
            return render_template("signed_out.html")
        overview = self._services.overview.everything(visitor.caller)
        return render_template("index.html", user=visitor.user, overviews=overview.providers, left=overview.left)

    def start(self, provider_id: str) -> ResponseReturnValue:
        """Names the provider, its host and the scopes before anything is begun. Raises what a preview raises."""
        choice = self._services.returns.choose(
            request.args.get("return_url"), request.referrer, origin=self._guards.origin()
        )
        account = ANOTHER if request.args.get("account") == ANOTHER else None
        wishes = read_wishes(request.args)
        carried: dict[str, Any] = {"return_url": choice.url, "account": account, **wishes.parameters()}
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.start", provider_id=provider_id, **carried))
        preview = self._services.linking.preview(visitor.caller, provider_id, wishes)
        return render_template("start.html", user=visitor.user, preview=preview, carried=carried)

    def begin(self, provider_id: str) -> ResponseReturnValue:
        """Begins the linking and sends the browser on by a page of its own.

        A redirect would be stopped: Chromium applies `form-action 'self'` to redirects after a form's POST, too.
        """
        visitor = self._require_visitor()
        provider = self._services.registry.get(provider_id)
        choice = self._services.returns.choose(request.form.get("return_url"), caller=visitor.caller)
        wishes = read_wishes(request.form)
        if request.form.get("account") == ANOTHER:
            wishes = _choosing_account(provider, wishes)
        begun = self._services.linking.begin(visitor.caller, provider_id, choice.url, wishes)
        return render_template("continue.html", location=begun.location, name=provider_name(provider))

    def ask(self, waiting_id: UUID) -> ResponseReturnValue:
        """Names the account that came back and those that are linked, and asks what is meant. Raises AttemptExpired."""
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.ask", waiting_id=waiting_id))
        try:
            question = self._services.confirmations.question(visitor.caller, waiting_id)
        except TokenStoreError as error:
            if error.report_to is None:
                raise
            self._say(error.report_to.return_url, error.detail)
            return redirect(after_error(error.report_to, error), 302)
        return render_template("confirm.html", user=visitor.user, question=question)

    def decide(self, waiting_id: UUID) -> ResponseReturnValue:
        """Does what the person says, and sends the browser on to where the linking was begun from."""
        caller = self._require_visitor().caller
        choice, link_id = _choice_in(request.form.get("choice", ""))
        try:
            decided = self._services.confirmations.decide(caller, waiting_id, choice, link_id)
        except TokenStoreError as error:
            if error.report_to is None:
                raise
            return self._go_on(after_error(error.report_to, error), error.report_to.return_url, error.detail)
        after = after_linking if decided.link else after_cancelling
        message = f"{link_name(decided.link)} is linked." if decided.link else "Nothing was linked or changed."
        location = after(decided.return_url, decided.provider.id, reports=decided.reports)
        return self._go_on(location, decided.return_url, message)

    def confirm_unlink(self, link_id: UUID) -> ResponseReturnValue:
        """Names what would be unlinked and asks. Raises NotFound."""
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.confirm_unlink", link_id=link_id))
        link = self._services.overview.find(visitor.caller, LinkId(link_id))
        provider = self._services.registry.find(link.provider_id)
        return render_template("unlink.html", user=visitor.user, provider=provider, link=link)

    def unlink(self, link_id: UUID) -> ResponseReturnValue:
        """Unlinks one account and shows the receipt on the index; doing it twice does no harm."""
        caller = self._require_visitor().caller
        receipts = self._services.unlinking.unlink(caller, link_id=LinkId(link_id))
        for receipt in receipts:
            flash(receipt_text(self._services.registry.find(receipt.link.provider_id), receipt))
        if not receipts:
            flash("This account is not linked any more.")
        return redirect(url_for("ui.index"), 303)

    def token(self, link_id: UUID) -> ResponseReturnValue:
        """Shows a fresh access token, this once. Raises NotFound and what TokenService raises."""
        visitor = self._require_visitor()
        link = self._services.overview.find(visitor.caller, LinkId(link_id))
        provider = self._services.registry.get(link.provider_id)
        hand_out = self._services.tokens.fresh_token(visitor.caller, provider.id, link_id=link.id)
        return render_template("token.html", user=visitor.user, provider=provider, link=link, hand_out=hand_out)

    def label(self, link_id: UUID) -> ResponseReturnValue:
        """Names an account as its owner likes. Raises NotFound, InvalidRequest."""
        caller, label = self._require_visitor().caller, request.form.get("label", "")
        link = self._services.choices.choose(caller, LinkId(link_id), Chosen(label=label))
        flash(f"The account is called {link_name(link)} now.")
        return redirect(url_for("ui.index"), 303)

    def make_default(self, link_id: UUID) -> ResponseReturnValue:
        """Chooses the account that programs get unless they name another. Raises NotFound."""
        link = self._services.choices.choose(self._require_visitor().caller, LinkId(link_id), Chosen(default=True))
        flash(f"Programs get {link_name(link)} now unless they name another.")
        return redirect(url_for("ui.index"), 303)

    def sessions(self) -> ResponseReturnValue:
        """Where the person is logged in, each with a way to sign out there."""
        visitor = self._guards.visitor()
        if visitor is None:
            return self._to_login(url_for("ui.sessions"))
        known = known_login()
        logins = self._services.sessions.logins(visitor.caller)
        return render_template("sessions.html", user=visitor.user, logins=logins, current=known[1] if known else None)

    def end_session(self, session_id: UUID) -> ResponseReturnValue:
        """Signs out in one browser; doing it twice does no harm."""
        caller = self._require_visitor().caller
        with suppress(NotFound):
            self._services.sessions.end(caller, session_id)
        flash("Signed out there.")
        return redirect(url_for("ui.sessions"), 303)

    def end_sessions(self) -> ResponseReturnValue:
        """Signs out everywhere, here too."""
        self._services.sessions.end_all(self._require_visitor().caller)
        return redirect(url_for("ui.index"), 303)

    def to_index(self, link_id: UUID) -> ResponseReturnValue:  # noqa: ARG002  (the router's)
        """There is no page of one link."""
        return redirect(url_for("ui.index"), 303)

    def _go_on(self, location: str, return_url: str, message: str) -> ResponseReturnValue:
        """Sends the browser on after a form."""
        self._say(return_url, message)
        if location.startswith("/"):
            return redirect(location, 303)
        # Chromium would stop a redirect to another origin, as in `begin`.
        return render_template("continue.html", location=location, name=urlsplit(location).netloc)

    def _say(self, return_url: str, message: str) -> None:
        """Shows the message on the next page, if that shows messages."""
        if self._services.shows_notices(return_url):
            flash(message)

    def _require_visitor(self) -> Authenticated:
        visitor = self._guards.visitor()
        if visitor is None:
            raise Unauthenticated("You are not logged in any more. Log in and try again.")
        return visitor

    def _to_login(self, path: str) -> ResponseReturnValue:
        return redirect(self._login_url(path), 302)

    def _login_url(self, return_url: str) -> str:
        return self._services.public_url.absolute(f"/api/oidc/login?{urlencode({'return_url': return_url})}")


def _choice_in(text: str) -> tuple[Choice, LinkId | None]:
    """What a button says: `add`, `cancel`, or `replace` and, after a space, a link. Raises InvalidRequest."""
    word, _, link = text.partition(" ")
    try:
        return Choice(word), LinkId(UUID(link)) if link else None
    except ValueError:
        raise InvalidRequest("Choose what is to become of the account.") from None


def _choosing_account(provider: Provider, wishes: Wishes) -> Wishes:
    """Asks an OpenID provider to offer a choice, which it otherwise skips for who is signed in there."""
    if provider.kind is not ProviderKind.OIDC:
        return wishes
    return replace(wishes, prompts=(*wishes.prompts, "select_account"))

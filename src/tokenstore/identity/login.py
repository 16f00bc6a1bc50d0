"""Logging in and out in a browser: `/api/oidc/login`, `redirect_uri`, `logout`; and hearing of logouts elsewhere."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from tokenstore.core.login import LoginService
from tokenstore.core.returns import ReturnUrls
from tokenstore.core.secret import Secret
from tokenstore.core.sessions import SessionService
from tokenstore.errors import InvalidRequest
from tokenstore.identity.agents import agent_label
from tokenstore.identity.browser import id_token, keep_login, known_login, known_session_key, session_key
from tokenstore.identity.guards import Guards
from tokenstore.identity.navigation import callback_of_request, require_navigation
from tokenstore.identity.sessions import destroy, regenerate
from tokenstore.providers.fields import subject_text


def create_blueprint(
    login: LoginService, sessions: SessionService, returns: ReturnUrls, guards: Guards, landing_url: str
) -> Blueprint:
    """The login routes. landing_url: absolute address of the landing page, where a logout at the provider ends."""
    blueprint = Blueprint("oidc", __name__, url_prefix="/api/oidc")

    @blueprint.get("/login")
    def begin() -> BaseResponse:
        """Send the browser to the login provider; it comes back to `return_url` if that is allowed."""
        require_navigation()
        choice = returns.choose(request.args.get("return_url"), request.referrer, origin=guards.origin())
        return redirect(login.begin(session_key(), choice.url).location, 302)

    @blueprint.get("/redirect_uri")
    def complete() -> BaseResponse:
        """Take the login provider's answer; the session gets a new id before anybody is logged in."""
        require_navigation()
        logged_in = login.complete(known_session_key(), callback_of_request(), guards.origin())
        before = known_login()
        sid = subject_text(logged_in.claims.get("sid"))
        kept = sessions.begin(logged_in.profile.identity, sid, agent_label(request.user_agent.string))
        regenerate()
        keep_login(logged_in, kept)
        if before is not None:
            sessions.logged_out(*before)
        return redirect(logged_in.return_url, 302)

    @blueprint.get("/logout")
    def confirm_logout() -> str:
        """Ask before logging out: a GET changes nothing, so that no other site can log a person out."""
        choice = returns.choose(request.args.get("return_url"), request.referrer, origin=guards.origin())
        return render_template("logout.html", return_url=choice.url)

    @blueprint.post("/logout")
    def logout() -> Response | BaseResponse:
        """End the session here, then (by a page, which `form-action` does not stop) at the login provider."""
        choice = returns.choose(request.form.get("return_url"), origin=guards.origin())
        location, present = login.end_session_url(id_token(), landing_url), known_login()
        if present is not None:
            sessions.logged_out(*present)
        destroy()
        if location is None:
            response: BaseResponse = redirect(choice.url, 303)
        else:
            response = Response(render_template("continue.html", location=location, name="the login provider"))
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    @blueprint.post("/backchannel_logout")
    def backchannel_logout() -> Response:
        """Hear from the login provider that somebody logged out there (OIDC Back-Channel Logout 1.0 section 2.5)."""
        tokens = request.form.getlist("logout_token")
        if len(tokens) != 1:
            raise InvalidRequest("Send one logout_token in a form.")
        sessions.hear(Secret(tokens[0]))
        return Response(status=200)

    return blueprint

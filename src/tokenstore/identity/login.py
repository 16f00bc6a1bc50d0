"""Logging in and out in a browser: `/api/oidc/login`, `redirect_uri`, `logout`."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, session
from werkzeug.wrappers import Response as BaseResponse

from tokenstore.core.login import LoginService
from tokenstore.core.model import Callback
from tokenstore.core.redirects import ReturnUrlPolicy
from tokenstore.identity.browser import id_token, keep_login, known_session_key, session_key
from tokenstore.identity.sessions import destroy, regenerate


def create_blueprint(login: LoginService, returns: ReturnUrlPolicy, landing_url: str) -> Blueprint:
    """The login routes. landing_url: absolute address of the landing page, where a logout at the provider ends."""
    blueprint = Blueprint("oidc", __name__, url_prefix="/api/oidc")

    @blueprint.get("/login")
    def begin() -> BaseResponse:
        """Send the browser to the login provider; it comes back to `return_url` if that is allowed."""
        choice = returns.choose(request.args.get("return_url"), request.referrer)
        return redirect(login.begin(session_key(), choice.url).location, 302)

    @blueprint.get("/redirect_uri")
    def complete() -> BaseResponse:
        """Take the login provider's answer; the session gets a new id before anybody is logged in."""
        logged_in = login.complete(known_session_key(), callback_of_request())
        regenerate()
        keep_login(logged_in)
        return redirect(logged_in.return_url, 302)

    @blueprint.get("/logout")
    def confirm_logout() -> str:
        """Ask before logging out: a GET changes nothing, so that no other site can log a person out."""
        choice = returns.choose(request.args.get("return_url"), request.referrer)
        return render_template("logout.html", return_url=choice.url)

    @blueprint.post("/logout")
    def logout() -> Response | BaseResponse:
        """End the session here, then (by a page, which `form-action` does not stop) at the login provider."""
        choice = returns.choose(request.form.get("return_url"))
        location = login.end_session_url(id_token(), landing_url)
        destroy()
        session.clear()
        if location is None:
            response: BaseResponse = redirect(choice.url, 303)
        else:
            response = Response(render_template("continue.html", location=location, name="the login provider"))
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return blueprint


def callback_of_request() -> Callback:
    """The query of the current request, repetitions kept."""
    return Callback({name: tuple(request.args.getlist(name)) for name in request.args})

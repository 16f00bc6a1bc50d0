"""What a person sees of a provider: signing in, consenting, signing out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oidc.core.errors import ConsentRequiredError
from flask import redirect, render_template, request, session
from werkzeug.wrappers import Response

from demo.authorization import SentIssuer
from demo.clients import find_client
from demo.config import Account
from demo.state import ProviderState


class Pages:
    """The views with forms in them. Every form carries a token bound to the session; redirects are 303s."""

    def __init__(self, state: ProviderState, server: Any, issuer: SentIssuer) -> None:
        self.state = state
        self.server = server
        self.issuer = issuer

    def authorize(self) -> Response | tuple[str, int] | str:
        """The authorization endpoint (RFC 6749 section 3.1) with its sign-in and consent pages."""
        client = find_client(request.args.get("client_id", ""))
        if client is None or not client.check_redirect_uri(request.args.get("redirect_uri", "")):
            return _error_page("This application is not known here, or asked to be answered elsewhere.")
        signs_in = "username" in request.form
        if request.method == "POST" and not _csrf_holds():
            if signs_in:
                return self._sign_in_page("The form was out of date. Sign in again."), 403
            return _error_page("This form is out of date. Go back and try again.", 403)
        if signs_in:
            return self._sign_in()
        decision = request.form.get("decision", "")
        if decision == "switch":
            session.clear()
        account = self._signed_in()
        try:
            grant = self.server.get_consent_grant(end_user=account)
            if account is None or self._must_sign_in_again():
                return self._sign_in_page()
            if decision == "deny":
                return self._respond(grant, None)
            if decision == "approve":
                self.state.consent(account.subject, client.get_client_id(), grant.request.scope)
            elif self._must_ask(account, grant):
                return self._page("consent.html", account=account, client=client.client, scope=grant.request.scope)
            return self._respond(grant, account)
        except OAuth2Error as error:
            if not error.redirect_uri:
                return _error_page(error.description or error.error)
            response = self.server.handle_error_response(None, error)
            self.issuer.add_issuer_parameter(self.server, response)
            return _see_other(response)

    def _respond(self, grant: Any, account: Account | None) -> Response:
        session.pop("fresh", None)
        return _see_other(self.server.create_authorization_response(grant_user=account, grant=grant))

    def _signed_in(self) -> Account | None:
        return self.state.account_of(session.get("subject", ""))

    def _must_sign_in_again(self) -> bool:
        return bool(_prompts() & {"login", "select_account"}) and session.get("fresh") != _this_request()

    def _must_ask(self, account: Account, grant: Any) -> bool:
        client_id = grant.request.client.get_client_id()
        asked = "consent" in _prompts()
        known = self.state.consented(account.subject, client_id, grant.request.scope)
        if "none" in _prompts() and not known:
            raise ConsentRequiredError(redirect_uri=grant.redirect_uri, state=grant.request.payload.state)
        return asked or not known

    def _sign_in(self) -> Response | tuple[str, int]:
        account = self.state.account(request.form["username"])
        given = request.form.get("password", "")
        if account is None or not hmac.compare_digest(account.password.encode(), given.encode()):
            return self._sign_in_page("The name or the password is wrong."), 403
        session.clear()
        session["subject"] = account.subject
        session["auth_time"] = int(self.state.clock.now())
        session["fresh"] = _this_request()
        return redirect(request.full_path, 303)

    def _sign_in_page(self, problem: str = "") -> str:
        return self._page("sign_in.html", problem=problem, username=request.form.get("username", ""))

    def _page(self, template: str, **values: Any) -> str:
        return render_template(template, csrf=_csrf_token(), **values)

    def end_session(self) -> Response | tuple[str, int] | str:
        """RP-initiated logout; without an ID token of ours the person is asked first."""
        try:
            wish = self.server.validate_endpoint_request("end_session")
        except OAuth2Error as error:
            return _error_page(error.description)
        if wish.needs_confirmation and not (request.method == "POST" and _csrf_holds()):
            return self._page("sign_out.html")
        response: Response | None = self.server.create_endpoint_response("end_session", wish)
        return self._page("signed_out.html") if response is None else _see_other(response)


def _prompts() -> set[str]:
    return set(request.args.get("prompt", "").split())


def _this_request() -> str:
    return hashlib.sha256(request.query_string).hexdigest()


def _csrf_token() -> str:
    return str(session.setdefault("csrf", secrets.token_urlsafe(24)))


def _csrf_holds() -> bool:
    expected = session.get("csrf")
    return expected is not None and hmac.compare_digest(expected.encode(), request.form.get("csrf", "").encode())


def _see_other(response: Response) -> Response:
    """The redirect as a 303, which never posts a password again."""
    if response.status_code == 302:
        response.status_code = 303
    return response


def _error_page(message: str, status: int = 400) -> tuple[str, int]:
    return render_template("error.html", message=message), status

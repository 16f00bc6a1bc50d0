"""The Flask application of a provider: the endpoints for programs, the pages, and the control endpoint."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from demo.authorization import create_authorization_server
from demo.clients import CLIENT_AUTH
from demo.control import Control
from demo.cors import install_cors
from demo.faults import install_faults, struck
from demo.knobs import Fault
from demo.pages import Pages
from demo.signing import ALGORITHM
from demo.state import ProviderState
from demo.tokens import person_claims

_CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


def create_provider(state: ProviderState) -> Flask:
    """The WSGI application of one provider over its state."""
    app = Flask(__name__)
    app.secret_key = state.session_key
    # A dropped connection must reach the server as an exception.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.config["MAX_CONTENT_LENGTH"] = 256 * 1024
    app.config["SESSION_COOKIE_NAME"] = f"{state.config.name.lower().replace(' ', '_')}_session"
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.extensions["provider"] = state
    app.jinja_env.globals["provider"] = state.config
    install_faults(app)
    app.after_request(_headers)
    install_cors(app, state)
    Endpoints(app, state)
    return app


def _headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


class Endpoints:
    """Routes and views for programs; endpoint names are those of the knobs."""

    def __init__(self, app: Flask, state: ProviderState) -> None:
        self.state = state
        self.server, issuer = create_authorization_server(app)
        pages = Pages(state, self.server, issuer)
        userinfo = "/userinfo"
        if state.config.kind == "oidc":
            app.add_url_rule("/.well-known/openid-configuration", "discovery", self.discovery)
            app.add_url_rule("/jwks", "jwks", lambda: jsonify(state.keys.public()))
            app.add_url_rule("/end_session", "end_session", pages.end_session, methods=["GET", "POST"])
        else:
            userinfo = "/user"
        app.add_url_rule("/authorize", "authorize", pages.authorize, methods=["GET", "POST"])
        app.add_url_rule("/token", "token", self.token, methods=["POST"])
        app.add_url_rule(userinfo, "userinfo", self.userinfo, methods=["GET", "POST"])
        app.add_url_rule("/revoke", "revoke", self.revoke, methods=["POST"])
        app.add_url_rule("/introspect", "introspect", self.introspect, methods=["POST"])
        app.add_url_rule("/_control", "control", Control(state), methods=["GET", "POST"])

    def discovery(self) -> Response:
        """Server metadata (OpenID Connect Discovery section 3, RFC 8414, RFC 9207 section 3)."""
        base = self.state.issuer
        other = struck(Fault.METADATA_ISSUER)
        return jsonify(
            {
                "issuer": base if other is None else other,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/jwks",
                "userinfo_endpoint": f"{base}/userinfo",
                "revocation_endpoint": f"{base}/revoke",
                "introspection_endpoint": f"{base}/introspect",
                "end_session_endpoint": f"{base}/end_session",
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": CLIENT_AUTH,
                "revocation_endpoint_auth_methods_supported": CLIENT_AUTH,
                "introspection_endpoint_auth_methods_supported": CLIENT_AUTH,
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": self.state.config.sends_iss,
            }
        )

    def token(self) -> Response:
        """The token endpoint (RFC 6749 section 3.2); secrets in its query are refused."""
        if request.args:
            return _oauth_error("invalid_request", "parameters belong in the body")
        if request.authorization is not None and "client_secret" in request.form:
            return _oauth_error("invalid_request", "more than one way of client authentication")
        with self.state.lock:
            response: Response = self.server.create_token_response()
        return response

    def revoke(self) -> Response:
        """RFC 7009."""
        with self.state.lock:
            response: Response = self.server.create_endpoint_response("revocation")
        return response

    def introspect(self) -> Response:
        """RFC 7662, for clients that prove who they are."""
        with self.state.lock:
            response: Response = self.server.create_endpoint_response("introspection")
        return response

    def userinfo(self) -> Response:
        """Who the access token is about (OpenID Connect Core section 5.3; RFC 6750)."""
        credentials = request.authorization
        bearer = credentials.token if credentials is not None and credentials.type == "bearer" else None
        token = self.state.access(bearer or "")
        account = None if token is None else self.state.account_of(token.subject)
        if token is None or account is None:
            response = _oauth_error("invalid_token", "unknown or ended", 401)
            response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return response
        if self.state.config.kind == "oidc":
            return jsonify(person_claims(account, token.scope))
        return jsonify(id=int(account.subject), login=account.username, name=account.name, email=account.email)


def _oauth_error(code: str, description: str, status: int = 400) -> Response:
    response = jsonify(error=code, error_description=description)
    response.status_code = status
    return response

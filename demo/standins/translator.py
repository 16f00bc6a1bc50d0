"""A WSGI application around the demo's provider: requests in a provider's habits become ours, answers become theirs.

Whatever is not an endpoint of the provider (the pages' own addresses, pictures) goes through as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from demo.config import Client
from demo.grants import AccessToken, RefreshToken
from demo.standins.habits import Answer, Habits, Members, RefusedError
from demo.state import ProviderState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Marks a query that was translated: the forms of the pages send it on.
_OURS = "translated"
_STANDARD = {"response_type", "client_id", "redirect_uri", "state"}
_OPENID = {"nonce", "prompt", "login_hint"}
_PKCE = {"code_challenge", "code_challenge_method"}
# For providers without PKCE; the demo's insists on it. From RFC 7636 appendix B.
_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Translator:
    """One stand-in's application."""

    def __init__(self, inner: WSGIApplication, state: ProviderState, habits: Habits) -> None:
        self._inner = inner
        self._state = state
        self._habits = habits
        self._views = {
            "discovery": self._discovery,
            "authorize": self._authorize,
            "token": self._token,
            "userinfo": self._userinfo,
            "revoke": self._revoke,
        }
        self._at = {path: name for name, path in habits.paths.items() if name in self._views}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        request = Request(environ)
        view = self._views.get(self._at.get(request.path, ""))
        if view is None or _OURS in request.args:
            return self._inner(environ, start_response)
        try:
            response = view(request)
        except RefusedError as refused:
            response = _json({"error": "invalid_request", "error_description": str(refused)}, self._habits.errors)
        return response(environ, start_response)

    def _discovery(self, request: Request) -> Response:
        response = self._ask(request, "GET", "/.well-known/openid-configuration")
        origin = request.host_url.rstrip("/")
        members = _members(response)
        names = {"jwks": "jwks_uri", "revoke": "revocation_endpoint", "authorize": "authorization_endpoint"}
        for name in ("authorize", "token", "jwks", "userinfo", "revoke"):
            member = names.get(name, f"{name}_endpoint")
            members.pop(member)
            if name in self._habits.paths:
                members[member] = origin + self._habits.paths[name]
        members.pop("end_session_endpoint", None)
        return _json(members)

    def _authorize(self, request: Request) -> Response:
        query = dict(request.args.items())
        known = _STANDARD | self._habits.knows | {self._habits.scope_param}
        known |= (_OPENID if self._habits.kind == "oidc" else set()) | (_PKCE if self._habits.pkce else set())
        if unknown := sorted(query.keys() - known):
            raise RefusedError(f"unknown parameter {unknown[0]}")
        scopes = query.pop(self._habits.scope_param, "").split(self._habits.separator)
        wanted = {scope for scope in scopes if scope} - {"offline_access"}
        if self._is_offline(query, scopes):
            wanted.add("offline_access")
        ours = {name: value for name, value in query.items() if name not in self._habits.knows or name == "prompt"}
        if not self._habits.pkce:
            ours |= {"code_challenge": _CHALLENGE, "code_challenge_method": "S256"}
        return self._ask(request, "GET", "/authorize", query={**ours, "scope": " ".join(sorted(wanted)), _OURS: "1"})

    def _is_offline(self, query: dict[str, str], scopes: list[str]) -> bool:
        when = self._habits.offline_when
        if when is None:
            return False
        scope = when.get("scope")
        return (scope is None or scope in scopes) and all(
            query.get(name) == value for name, value in when.items() if name != "scope"
        )

    def _token(self, request: Request) -> Response:
        form = self._authenticated(request, self._body(request))
        refreshing = form.get("grant_type") == "refresh_token"
        if refreshing and (missing := [name for name in self._habits.refresh_needs if name not in form]):
            raise RefusedError(f"{missing[0]} is missing")
        if not refreshing and not self._habits.pkce:
            form["code_verifier"] = _VERIFIER
        response = self._ask(request, "POST", "/token", form=form)
        members = _members(response)
        if "error" in members:
            status = self._habits.errors if response.status_code < 500 else response.status_code
            return self._no(members, status)
        return _json(self._shaped(members, refreshing))

    def _shaped(self, members: Members, refreshing: bool) -> Members:
        found = self._state.find_token(members["access_token"])
        account = self._state.account_of(_subject(found))
        if account is None:
            raise LookupError("a token of nobody")
        granted = set(members.get("scope", "").split()) - self._habits.hidden_scopes
        members["scope"] = self._habits.joins.join(sorted(granted))
        return self._habits.answer(members, Answer(account, refreshing))

    def _no(self, members: Members, status: int) -> Response:
        return _json({"ok": False, **members}, 200) if self._habits.says_ok else _json(members, status)

    def _userinfo(self, request: Request) -> Response:
        token = self._state.access(_bearer(request))
        account = None if token is None else self._state.account_of(token.subject)
        if account is None or self._habits.person is None:
            return self._no({"error": "invalid_auth"}, 401)
        return _json(self._habits.person(account))

    def _revoke(self, request: Request) -> Response:
        if self._habits.revocation == "rfc7009":
            return self._ask(request, "POST", "/revoke", form=self._authenticated(request, self._body(request)))
        if self._habits.revocation == "github-grant":
            if request.method != "DELETE" or _basic(request) != self._credentials():
                return _json({"message": "Not Found"}, 404)
            value = str(json.loads(request.get_data())["access_token"])
        else:
            value = _bearer(request)
        # Only a living access token will do: neither takes refresh tokens.
        token = self._state.access(value)
        if token is None or token.grant is None:
            return self._no({"error": "invalid_auth"}, 404)
        self._state.revoke(token.grant)
        if self._habits.revocation == "github-grant":
            return Response(status=204)
        return _json({"ok": True, "revoked": True} if self._habits.says_ok else {})

    def _body(self, request: Request) -> dict[str, str]:
        wanted = "application/json" if self._habits.body == "json" else "application/x-www-form-urlencoded"
        if self._at.get(request.path) == "token" and request.mimetype != wanted:
            raise RefusedError(f"the body has to be {wanted}")
        if request.mimetype == "application/json":
            return dict(json.loads(request.get_data()))
        return dict(parse_qsl(request.get_data(as_text=True), keep_blank_values=True))

    def _authenticated(self, request: Request, form: dict[str, str]) -> dict[str, str]:
        """The form with our credentials, if they came in the provider's way; wrong ones stay wrong."""
        in_header, in_body = _basic(request), (form.get("client_id"), form.get("client_secret"))
        if (in_header is None) != (self._habits.auth == "post") or (in_header is not None and any(in_body)):
            raise RefusedError("the client proves who it is in another way")
        client_id, secret = in_body if in_header is None else in_header
        return {**form, "client_id": client_id or "", "client_secret": secret or ""}

    def _credentials(self) -> tuple[str, str]:
        client: Client = next(client for client in self._state.clients())
        return client.client_id, client.client_secret

    def _ask(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Response:
        """The inner application's answer to a request in its own language."""
        headers = Headers({"Accept": "application/json" if method == "POST" else request.headers.get("Accept", "*/*")})
        if cookie := request.headers.get("Cookie"):
            headers["Cookie"] = cookie
        builder = EnvironBuilder(
            path=path,
            base_url=request.host_url,
            method=method,
            query_string=urlencode(query or {}),
            headers=headers,
            data=form,
        )
        return Response.from_app(self._inner, builder.get_environ(), buffered=True)


def _members(response: Response) -> Members:
    return dict(json.loads(response.get_data()))


def _json(members: Members, status: int = 200) -> Response:
    return Response(json.dumps(members), status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _subject(token: RefreshToken | AccessToken | None) -> str:
    return token.subject if isinstance(token, AccessToken) else ""


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(client_id), unquote_plus(secret)

"""The protocol side of a provider: Authlib's authorization server with strict grants over `ProviderState`.

Authlib has no types, hence the ignored base classes.
"""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import InvalidRequestError, grants
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint
from flask import Flask, session

from demo.clients import CLIENT_AUTH, RegisteredClient, find_client
from demo.config import Account
from demo.faults import provider_state, struck
from demo.grants import CODE_LIFETIME, AccessToken, Code, Grant, RefreshToken
from demo.knobs import Fault
from demo.signing import ALGORITHM
from demo.tokens import access_token, access_token_lifetime, introspected, person_claims


class StrictCodeChallenge(CodeChallenge):
    """PKCE for every client and S256 only (RFC 9700 section 2.1.1); Authlib asks it of public clients alone."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        if not grant.request.payload.data.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'")
        super().validate_code_challenge(grant, redirect_uri)


class _Issuing:
    """What both grants share: the answer as the knobs want it, and where the access token is kept."""

    def generate_token(self, user: Any = None, scope: str | None = None, **rest: Any) -> dict[str, Any]:
        narrowed = struck(Fault.NARROW_SCOPE)
        token: dict[str, Any] = super().generate_token(  # type: ignore[misc]  # of the grant it is mixed into
            user=user, scope=scope if narrowed is None else str(narrowed), **rest
        )
        return token

    def keep(self, token: dict[str, Any], grant: Grant) -> None:
        lifetime = access_token_lifetime()
        if lifetime is not None:
            token["expires_in"] = lifetime  # Authlib leaves a zero out
        provider_state().save_access(token["access_token"], grant, token.setdefault("scope", ""), lifetime)
        if struck(Fault.NO_EXPIRES_IN) is not None:
            token.pop("expires_in", None)
        token_type = struck(Fault.TOKEN_TYPE)
        if token_type is not None:
            token["token_type"] = token_type


class CodeGrant(_Issuing, grants.AuthorizationCodeGrant):
    """Codes are spent once; a refresh token comes with `offline_access` and from OpenID providers only.

    Public clients have PKCE alone; which methods a client may use stands in its registration.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = (*CLIENT_AUTH, "none")

    def save_authorization_code(self, code: str, oauth_request: Any) -> None:
        state = provider_state()
        data = oauth_request.payload.data
        state.save_code(
            Code(
                value=code,
                client_id=oauth_request.client.get_client_id(),
                redirect_uri=oauth_request.payload.redirect_uri,
                scope=oauth_request.scope,
                subject=oauth_request.user.subject,
                auth_time=session["auth_time"],
                expires_at=state.clock.now() + CODE_LIFETIME,
                nonce=data.get("nonce"),
                code_challenge=data["code_challenge"],
                code_challenge_method=data["code_challenge_method"],
            )
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> Code | None:
        return provider_state().find_code(code, client.get_client_id())

    def authenticate_user(self, authorization_code: Code) -> Account | None:
        return provider_state().account_of(authorization_code.subject)

    def save_token(self, token: dict[str, Any]) -> None:
        state = provider_state()
        code: Code = self.request.authorization_code
        grant = state.open_grant(code)
        self.keep(token, grant)
        offline = state.config.refreshes and "offline_access" in code.scope.split()
        if offline and struck(Fault.NO_REFRESH_TOKEN) is None:
            token["refresh_token"] = state.new_refresh_token(grant)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing: a spent code is kept, so that spending it again can be told."""


class RefreshGrant(_Issuing, grants.RefreshTokenGrant):
    """Rotation and reuse detection as `ProviderState` decides them."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        return provider_state().present(refresh_token, self.request.client.get_client_id())

    def authenticate_user(self, refresh_token: RefreshToken) -> Account | None:
        return provider_state().account_of(refresh_token.grant.subject)

    def issue_token(self, user: Account, refresh_token: RefreshToken) -> dict[str, Any]:
        token: dict[str, Any] = super().issue_token(user, refresh_token)
        if struck(Fault.NO_REFRESH_TOKEN) is None:
            successor = provider_state().successor(refresh_token)
            if successor is not None:
                token["refresh_token"] = successor
        return token

    def save_token(self, token: dict[str, Any]) -> None:
        self.keep(token, self.request.refresh_token.grant)

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """Nothing: `issue_token` marked it as used when its successor was made."""


class IdTokens(OpenIDCode):
    """ID tokens at the code exchange and at refresh (OpenID Connect Core sections 3.1.3.3 and 12.2)."""

    def exists_nonce(self, nonce: str, oauth_request: Any) -> bool:
        return provider_state().nonce_seen(oauth_request.payload.client_id, nonce)

    def resolve_client_private_key(self, _client: RegisteredClient) -> Any:
        return provider_state().keys.current()

    def get_encode_header(self, _client: RegisteredClient) -> dict[str, Any]:
        return {"alg": ALGORITHM, "kid": provider_state().keys.current().kid}

    def get_client_claims(self, client: RegisteredClient) -> dict[str, Any]:
        state = provider_state()
        now = int(state.clock.now())
        claims: dict[str, Any] = {"iss": state.issuer, "aud": client.get_client_id(), "iat": now, "exp": now + 600}
        return claims

    def get_compatible_claims(self, oauth_request: Any) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_compatible_claims(oauth_request)
        if oauth_request.refresh_token is not None:
            claims["auth_time"] = oauth_request.refresh_token.grant.auth_time
        return claims

    def generate_user_info(self, user: Account, scope: str) -> dict[str, Any]:
        other = struck(Fault.ID_TOKEN_SUBJECT)
        return person_claims(user, scope) | ({} if other is None else {"sub": str(other)})


class Revocation(RevocationEndpoint):
    """RFC 7009: revoking any token of a grant ends the whole grant, or that token alone, as configured."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def query_token(self, token_string: str, _token_type_hint: str | None) -> RefreshToken | AccessToken | None:
        return provider_state().find_token(token_string)

    def revoke_token(self, token: RefreshToken | AccessToken, _request: Any) -> None:
        provider_state().revoke_token(token)


class Introspection(IntrospectionEndpoint):
    """RFC 7662: any client that proves who it is may ask; what is not live is inactive and nothing more."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def query_token(self, token_string: str, _token_type_hint: str | None) -> RefreshToken | AccessToken | None:
        state = provider_state()
        found = state.find_token(token_string)
        if isinstance(found, RefreshToken) and not (found.revoked or found.grant.revoked):
            return found
        return state.access(token_string)

    def check_permission(self, _token: RefreshToken | AccessToken, _client: RegisteredClient, _request: Any) -> bool:
        return True

    def create_introspection_payload(self, token: RefreshToken | AccessToken | None) -> dict[str, Any]:
        return {"active": False} if token is None else introspected(token)


class EndSession(EndSessionEndpoint):
    """RP-initiated logout: back only to a registered address and only with an ID token of ours."""

    def get_server_jwks(self) -> Any:
        return provider_state().keys.key_set()

    def get_algorithms(self) -> list[str]:
        return [ALGORITHM]

    def end_session(self, _end_session_request: Any) -> None:
        session.clear()


class SentIssuer(IssuerParameter):
    """`iss` in every authorization response (RFC 9207), as true as the knobs let it be."""

    def get_issuer(self) -> str | None:
        state = provider_state()
        if not state.config.sends_iss or struck(Fault.NO_CALLBACK_ISS) is not None:
            return None
        other = struck(Fault.CALLBACK_ISS)
        return state.issuer if other is None else str(other)


def _nothing_to_save(_token: dict[str, Any], _request: Any) -> None:
    """Grants keep their tokens themselves."""


def create_authorization_server(app: Flask) -> tuple[Any, SentIssuer]:
    """Authlib's server with everything registered, and the extension that adds `iss`."""
    server = AuthorizationServer(app, query_client=find_client, save_token=_nothing_to_save)
    tokens = BearerTokenGenerator(
        lambda client, user, scope, **_: access_token(client, user, scope),
        expires_generator=lambda *_: access_token_lifetime(),
    )
    server.register_token_generator("default", tokens)
    openid = [IdTokens()] if app.extensions["provider"].config.kind == "oidc" else []
    server.register_grant(CodeGrant, [StrictCodeChallenge(required=True), *openid])
    server.register_grant(RefreshGrant, openid)
    server.register_endpoint(Revocation)
    server.register_endpoint(Introspection)
    server.register_endpoint(EndSession)
    issuer = SentIssuer()
    server.register_extension(issuer)
    return server, issuer

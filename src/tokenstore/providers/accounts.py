"""Whose account it is: by the verified ID token, else by userinfo, else by the token response.

Owns the order of these sources and what becomes of each one's failure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tokenstore.core.model import Account, Attempt, Provider, ProviderKind, TokenSet
from tokenstore.core.ports import Identified
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, ProviderUnavailable
from tokenstore.providers import wire
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.fields import lookup, shown_text, subject_text
from tokenstore.providers.idtoken import verify_id_token
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.messages import TransportError
from tokenstore.providers.signed import TokenRefused
from tokenstore.providers.strict_json import BadJson, parse_object
from tokenstore.providers.transport import Transport

_log = logging.getLogger(__name__)


class AccountReader:
    """Finds the account behind a fresh token set. Thread-safe."""

    def __init__(self, transport: Transport, discovery: Discovery, keys: KeySets, now: Callable[[], datetime]) -> None:
        self._transport = transport
        self._discovery = discovery
        self._keys = keys
        self._now = now

    def identify(self, provider: Provider, attempt: Attempt, tokens: TokenSet) -> Identified:
        """The account and the claims it rests on.

        With OpenID the verified ID token says who it is; userinfo is asked for what it leaves out, and matters only
        where that is the subject field. Without OpenID userinfo says who it is, or else the token response.
        Raises LinkDenied for a token or an answer that is not acceptable, ProviderUnavailable and
        ProviderMisconfigured where keys or userinfo cannot be had.
        """
        metadata = self._discovery.metadata(provider)
        userinfo = metadata.endpoints.userinfo
        if provider.kind is ProviderKind.OAUTH2:
            said = tokens.extra if userinfo is None else self._userinfo(provider, userinfo, tokens.access_token)
            return Identified(_account(provider, provider.effective_issuer, said), said)
        issuer = provider.effective_issuer
        claims = self._id_token_claims(provider, issuer, attempt, tokens)
        wanted = (provider.subject_field, provider.name_field, provider.email_field)
        if userinfo is not None and any(lookup(claims, name) is None for name in wanted):
            claims = self._with_userinfo(provider, userinfo, tokens.access_token, claims)
        return Identified(_account(provider, issuer, claims), claims)

    def _id_token_claims(
        self, provider: Provider, issuer: str, attempt: Attempt, tokens: TokenSet
    ) -> Mapping[str, Any]:
        if tokens.id_token is None:
            raise _denied(provider, "no ID token")
        try:
            return verify_id_token(
                tokens.id_token,
                provider,
                self._keys.of(provider),
                issuer=issuer,
                nonce=attempt.nonce,
                access_token=tokens.access_token,
                now=self._now(),
            )
        except TokenRefused as exc:
            raise _denied(provider, f"ID token refused: {exc.reason}") from None

    def _with_userinfo(
        self, provider: Provider, endpoint: str, access_token: Secret, claims: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The claims, completed from userinfo if it can be had; the ID token's own stay as they are."""
        try:
            found = self._userinfo(provider, endpoint, access_token)
        except (ProviderUnavailable, LinkDenied):
            return claims
        # OIDC Core section 5.3.2: without this check one person's token could bring another's name.
        if found.get("sub") != claims["sub"]:
            raise _denied(provider, "userinfo is about another subject")
        if lookup(claims, provider.email_field) is None:
            # Whether an address is verified is said where the address is.
            claims = {name: value for name, value in claims.items() if name != "email_verified"}
        return {**found, **{name: value for name, value in claims.items() if value is not None}}

    def _userinfo(self, provider: Provider, endpoint: str, access_token: Secret) -> Mapping[str, Any]:
        try:
            response = self._transport.send(provider.id, wire.userinfo_request(endpoint, access_token))
        except TransportError as exc:
            raise _unavailable(provider, exc.reason) from None
        if response.status >= 500 or response.status == 429:
            raise _unavailable(provider, f"status-{response.status}")
        try:
            if response.status == 200:
                return parse_object(response.body)
        except BadJson:
            raise _denied(provider, "userinfo is no acceptable JSON object") from None
        raise _denied(provider, f"userinfo answered {response.status}")


def _account(provider: Provider, issuer: str, claims: Mapping[str, Any]) -> Account:
    subject = subject_text(lookup(claims, provider.subject_field))
    if subject is None:
        raise _denied(provider, "no usable subject")
    email = shown_text(lookup(claims, provider.email_field))
    return Account(
        issuer=issuer,
        subject=subject,
        name=shown_text(lookup(claims, provider.name_field)),
        email=email,
        email_verified=email is not None and claims.get("email_verified") is True,
    )


def _denied(provider: Provider, debug: str) -> LinkDenied:
    _log.warning("provider %s: account not accepted: %s", provider.id, debug)
    return LinkDenied(
        f"It is not clear from what {provider.called} said whose account this is. Try again; if it happens again, "
        "tell the operator of this service.",
        debug=debug,
    )


def _unavailable(provider: Provider, debug: str) -> ProviderUnavailable:
    _log.warning("provider %s: userinfo not available: %s", provider.id, debug)
    return ProviderUnavailable(
        f"At present {provider.called} does not answer as it should. Try again later.", debug=debug
    )

"""Tokens of the login provider that others bring to us, and which check each gets.

An access token of three parts is a JWT and verified here; any other is opaque, and the login provider is asked about
it where the operator wants that. Logout tokens are always JWTs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from tokenstore.core.model import LogoutNotice, Provider
from tokenstore.core.places import Places
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, InvalidRequest
from tokenstore.providers.accesstoken import verify_access_token
from tokenstore.providers.bounded import BoundedChecks
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.introspection import Introspection
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.logouttoken import verify_logout_token
from tokenstore.providers.transport import Transport


class CallerTokens:
    """Checks tokens of the login provider; `login` None: there is none, so nothing is accepted.

    audiences           what `aud` has to hold one of; empty: our client id
    authorized_parties  clients whose access tokens are accepted; empty: any
    introspect          whether opaque access tokens are accepted
    """

    def __init__(
        self,
        login: Provider | None,
        transport: Transport,
        discovery: Discovery,
        keys: KeySets,
        places: Places,
        *,
        audiences: Collection[str],
        authorized_parties: Collection[str] = (),
        introspect: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._login = login
        self._keys = keys
        self._audiences = audiences
        self._parties = authorized_parties
        self._now = now
        self._introspection = None
        if login is not None and introspect:
            introspection = Introspection(
                login, transport, discovery, audiences=self._audiences, authorized_parties=authorized_parties, now=now
            )
            self._introspection = BoundedChecks(introspection.verify, places)

    def verify(self, token: Secret) -> Mapping[str, Any]:
        """The claims of a good access token. Raises BadCredentials, ProviderUnavailable, ProviderMisconfigured."""
        if self._login is None:
            raise BadCredentials("No login provider is configured, so no access token is accepted.")
        if self._introspection is not None and token.reveal().count(".") != 2:
            return self._introspection.verify(token)
        return verify_access_token(
            token,
            self._keys.of(self._login),
            issuer=self._login.effective_issuer,
            audiences=self._audiences,
            algorithms=self._login.id_token_algorithms,
            now=self._now(),
            authorized_parties=self._parties,
        )

    def verify_logout(self, token: Secret) -> LogoutNotice:
        """What a good logout token says. Raises InvalidRequest, ProviderUnavailable, ProviderMisconfigured."""
        if self._login is None:
            raise InvalidRequest("No login provider is configured, so no logout token is accepted.")
        keys = self._keys.of(self._login)
        return verify_logout_token(token, self._login, keys, issuer=self._login.effective_issuer, now=self._now())

"""Logging people in at the login provider (OpenID Connect Core, code flow)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenstore.core.attempts import Attempts, Begun
from tokenstore.core.callback import CallbackCheck, Visitor
from tokenstore.core.exchange import redeem
from tokenstore.core.model import AuditEvent, Callback, Identity, Origin, Profile, Provider, Purpose
from tokenstore.core.noting import note_failure
from tokenstore.core.places import Places
from tokenstore.core.ports import AuditLog, ProviderClient, UserStore
from tokenstore.core.secret import Secret
from tokenstore.errors import LinkDenied, LoginDenied, NoLoginProvider, PolicyDenied, TokenStoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A person whose ID token was verified. `claims` are the ID token's (and userinfo's) claims."""

    profile: Profile
    claims: Mapping[str, Any]
    id_token: Secret | None
    return_url: str


class LoginService:
    """Begins and completes logins.

    provider  None: no login provider is configured
    advice    what else can be done about that, as a sentence
    """

    def __init__(
        self,
        provider: Provider | None,
        users: UserStore,
        attempts: Attempts,
        check: CallbackCheck,
        client: ProviderClient,
        audit: AuditLog,
        places: Places,
        advice: str = "",
    ) -> None:
        self._advice = advice
        self._provider = provider
        self._users = users
        self._attempts = attempts
        self._check = check
        self._client = client
        self._audit = audit
        self._places = places

    def begin(self, session_key: str, return_url: str) -> Begun:
        """Start a login in this browser session. `return_url` has passed the return-URL policy.

        Raises ProviderUnavailable (ProviderBusy where no place is free), ProviderMisconfigured (also when none is
        configured), StorageUnavailable.
        """
        return self._attempts.begin(
            Purpose.LOGIN, self._configured(), user=None, session_key=session_key, return_url=return_url
        )

    def complete(self, session_key: str | None, callback: Callback, origin: Origin | None = None) -> LoggedIn:
        """Verify the login provider's answer and remember the user. Every failure of an attempt is audited;
        what belongs to no attempt is logged.

        Raises InvalidRequest, AttemptExpired, LoginDenied, PolicyDenied (disabled user), ProviderMisconfigured,
        ProviderUnavailable, KeyUnavailable, StorageUnavailable; and ProviderBusy, which ends no attempt.
        """
        provider = self._configured()
        with self._places.at(provider):
            return self._complete(provider, session_key, callback, origin)

    def end_session_url(self, id_token: Secret | None, return_to: str) -> str | None:
        """Where the browser ends its session at the login provider, None where that is not offered or not reachable."""
        if self._provider is None:
            return None
        try:
            return self._client.end_session_url(self._provider, id_token, return_to)
        except TokenStoreError as error:
            log.warning("no logout at the login provider", extra={"because": error.slug})
            return None

    def _complete(
        self, provider: Provider, session_key: str | None, callback: Callback, origin: Origin | None
    ) -> LoggedIn:
        attempt = self._check.take(callback)
        try:
            accepted = self._check.accept(attempt, callback, Purpose.LOGIN, provider, Visitor(session_key, None))
            tokens = redeem(self._client, provider, accepted.attempt, accepted.code).tokens
            identified = self._client.identify(provider, accepted.attempt, tokens)
            account = identified.account
            profile = Profile(
                Identity(account.issuer, account.subject), account.name, account.email, account.email_verified
            )
            self._users.remember(profile)
            if self._users.profile(profile.identity) is None:
                raise PolicyDenied("This user is disabled. Ask the operator.")
        except TokenStoreError as error:
            if attempt is None:  # anybody can send these without end: no row
                log.info("a callback without an attempt was refused", extra={"provider": provider.id})
            else:
                event = AuditEvent(
                    "login.refused", "failure", provider_id=provider.id, reason=error.slug, origin=origin
                )
                note_failure(self._audit, event)
            if isinstance(error, LinkDenied):
                raise LoginDenied(error.detail, debug=error.debug) from error
            raise
        self._audit.record(
            AuditEvent("login", "success", user=profile.identity, provider_id=provider.id, origin=origin)
        )
        return LoggedIn(profile, identified.claims, tokens.id_token, accepted.attempt.return_url)

    def _configured(self) -> Provider:
        if self._provider is None:
            need = "OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET"
            raise NoLoginProvider(
                f"No login provider is configured. The operator has to set {need}. {self._advice}".rstrip()
            )
        return self._provider

"""Linking and unlinking accounts: begin, complete, unlink."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenstore.core.accounts import check_account
from tokenstore.core.attempts import Attempts, Begun
from tokenstore.core.callback import CallbackCheck, Visitor
from tokenstore.core.exchange import Redeemed, redeem
from tokenstore.core.model import (
    Attempt,
    AuditEvent,
    Callback,
    Caller,
    Link,
    LinkId,
    Profile,
    Provider,
    Purpose,
    RevocationResult,
)
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import AuditLog, LinkStore, NewLink, Outbox, ProviderClient, Unlinked, UserStore
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.errors import NoOfflineAccess, PolicyDenied, TokenStoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Linked:
    """A completed linking and the address to go back to."""

    link: Link
    return_url: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """An unlinked account and what became of its tokens at the provider."""

    link: Link
    upstream: RevocationResult


class LinkingService:
    """Connects users with accounts at providers, and disconnects them."""

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        users: UserStore,
        links: LinkStore,
        attempts: Attempts,
        check: CallbackCheck,
        client: ProviderClient,
        audit: AuditLog,
        outbox: Outbox,
        revoker: Revoker,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._users = users
        self._links = links
        self._attempts = attempts
        self._check = check
        self._client = client
        self._audit = audit
        self._outbox = outbox
        self._revoker = revoker

    def begin(self, caller: Caller, provider_id: str, return_url: str, hints: Mapping[str, str] | None = None) -> Begun:
        """Start linking an account; the browser has to go to the returned address within ten minutes.

        `return_url` has passed the return-URL policy. Begun by a bearer token, the attempt is bound to the user and the
        callback still demands that user's session. Raises UnknownProvider, PolicyDenied, ProviderUnavailable,
        ProviderMisconfigured, StorageUnavailable.
        """
        provider = self._registry.get(provider_id)
        self._policy.require(caller, caller.identity, Action.LINK, provider)
        return self._attempts.begin(
            Purpose.LINK,
            provider,
            user=caller.identity,
            session_key=caller.session_key,
            return_url=return_url,
            hints=hints,
        )

    def complete(self, caller: Caller | None, provider_id: str, callback: Callback) -> Linked:
        """Finish what `begin` started, in the browser session (and by the user) that began it.

        Every failure ends the attempt and is audited; tokens received by then are revoked. Raises UnknownProvider,
        InvalidRequest, AttemptExpired, PolicyDenied (disabled user), LinkDenied, AccountMismatch, NoOfflineAccess,
        ProviderMisconfigured, ProviderUnavailable, KeyUnavailable, StorageUnavailable.
        """
        provider = self._registry.get(provider_id)
        visitor = Visitor(caller.session_key, caller.identity) if caller else Visitor(None, None)
        try:
            accepted = self._check.accept(callback, Purpose.LINK, provider, visitor)
            user = self._known_user(accepted.attempt)
            redeemed = redeem(
                self._client,
                provider,
                accepted.attempt,
                accepted.code,
                stray=lambda token: self._give_back(provider, user, token),
            )
            try:
                link = self._attach(caller, provider, accepted.attempt, user, redeemed)
            except Exception:
                self._give_back(provider, user, redeemed.tokens.refresh_token or redeemed.tokens.access_token)
                raise
        except TokenStoreError as error:
            identity = caller.identity if caller else None
            self._audit.record(AuditEvent("link.refused", "failure", caller, identity, provider.id, reason=error.slug))
            raise
        return Linked(link, accepted.attempt.return_url)

    def _known_user(self, attempt: Attempt) -> Profile:
        user = self._users.profile(attempt.user) if attempt.user else None
        if user is None:
            raise PolicyDenied("This user may not link accounts.")
        return user

    def _attach(
        self, caller: Caller | None, provider: Provider, attempt: Attempt, user: Profile, redeemed: Redeemed
    ) -> Link:
        tokens = redeemed.tokens
        account = self._client.identify(provider, attempt, tokens).account
        check_account(provider, user, account)
        if tokens.refresh_token is None and provider.expects_refresh_token:
            raise NoOfflineAccess(
                "The provider gave no refresh token, so the link would end with its first access token. "
                "The operator has to allow offline access for this client at the provider."
            )
        new = NewLink(user, provider, account, tokens, frozenset(attempt.scopes), redeemed.elapsed)
        return self._links.attach(new, AuditEvent("link.created", "success", caller, user.identity, provider.id))

    def _give_back(self, provider: Provider, user: Profile, token: Secret) -> None:
        """Revoke what was received for a link that was not made; what cannot be done now stays queued."""
        try:
            self._revoker.settle(self._outbox.queue_revocation(provider, user.identity, token))
        except TokenStoreError as error:
            log.warning("received tokens could not be queued for revocation", extra={"because": error.slug})

    def unlink(
        self, caller: Caller, *, provider_id: str | None = None, link_id: LinkId | None = None
    ) -> Sequence[Receipt]:
        """Remove one link (`link_id`) or all of the caller's links at a provider; from then on nothing is handed out.

        Then each refresh token is revoked upstream by one call; what failed stays queued. Empty: nothing was linked.
        Raises UnknownProvider, PolicyDenied, StorageUnavailable.
        """
        provider = self._registry.get(provider_id) if provider_id is not None else None
        self._policy.require(caller, caller.identity, Action.UNLINK, provider)
        event = AuditEvent("link.removed", "success", caller, caller.identity)
        removed = self._links.unlink(caller.identity, provider.id if provider else None, link_id, event)
        return [Receipt(unlinked.link, self._settle(unlinked)) for unlinked in removed]

    def _settle(self, unlinked: Unlinked) -> RevocationResult:
        if unlinked.outbox_id is None:
            return RevocationResult.UNSUPPORTED
        return self._revoker.settle(unlinked.outbox_id)

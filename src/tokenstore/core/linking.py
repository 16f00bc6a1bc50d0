"""Linking and unlinking accounts: begin, complete, unlink."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tokenstore.core.accounts import check_account
from tokenstore.core.attaching import Attacher
from tokenstore.core.attempts import LIFETIME, Attempts, Begun
from tokenstore.core.callback import CallbackCheck, Visitor
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.exchange import Redeemed, redeem, with_callback_fields
from tokenstore.core.lessons import of_linking
from tokenstore.core.model import (
    Account,
    Attempt,
    AuditEvent,
    Callback,
    Caller,
    Link,
    LinkId,
    Origin,
    Profile,
    Provider,
    ProviderId,
    Purpose,
    RevocationResult,
)
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import (
    AuditLog,
    LinkStore,
    NewLink,
    ProviderClient,
    ProviderFacts,
    Standing,
    Unlinked,
    UserStore,
    Waiting,
)
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.wishes import NO_WISHES, Wishes, scopes_to_ask
from tokenstore.errors import NoOfflineAccess, NotFound, PolicyDenied, TokenStoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Linked:
    """A completed linking and the address to go back to, to which the result is told if it `reports`.

    `renewed`: the account was linked before it began.
    """

    provider: Provider
    link: Link
    return_url: str
    renewed: bool
    reports: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a linking would ask for. `link`: the one that it would renew, if one was named."""

    provider: Provider
    scopes: tuple[str, ...]
    link: Link | None


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
        revoker: Revoker,
        facts: ProviderFacts,
        confirmations: ConfirmationService,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._users = users
        self._links = links
        self._attempts = attempts
        self._check = check
        self._client = client
        self._audit = audit
        self._revoker = revoker
        self._facts = facts
        self._confirmations = confirmations
        self._attacher = Attacher(links, revoker)

    def preview(self, caller: Caller, provider_id: str, wishes: Wishes = NO_WISHES) -> Preview:
        """What `begin` would ask for, so that a person can be shown it first.

        Raises UnknownProvider, PolicyDenied, NotFound (the link that is named), InvalidRequest (a scope that is not
        configured), StorageUnavailable.
        """
        provider = self._registry.get(provider_id)
        self._policy.require(caller, caller.identity, Action.LINK, provider)
        link = self._named(caller, provider, wishes.link_id)
        return Preview(provider, scopes_to_ask(provider, wishes, link), link)

    def begin(self, caller: Caller, provider_id: str, return_url: str, wishes: Wishes = NO_WISHES) -> Begun:
        """Start linking an account; the browser has to go to the returned address within ten minutes.

        `return_url` has passed the return-URL policy. Begun by a bearer token, the attempt is bound to the user and the
        callback still demands that user's session. Raises what `preview` raises, ProviderUnavailable,
        ProviderMisconfigured.
        """
        preview = self.preview(caller, provider_id, wishes)
        self._confirmations.sweep()
        return self._attempts.begin(
            Purpose.LINK,
            preview.provider,
            user=caller.identity,
            session_key=caller.session_key,
            return_url=return_url,
            wishes=wishes,
            link=preview.link,
        )

    def complete(
        self, caller: Caller | None, provider_id: str, callback: Callback, origin: Origin | None = None
    ) -> Linked | Waiting:
        """Finish what `begin` started, in the browser session (and by the user) that began it.

        Another account than those linked at the provider is not linked yet: the person is asked (`confirming`).
        Every failure ends the attempt and is audited; what belongs to no attempt and to nobody is logged. An attempt
        that reports gives its error the return address, if this visitor began it (`TokenStoreError.report_to`). Tokens
        received by then are revoked, unless that could end a link that is there. `origin`: where the request came
        from, for events without a caller. Raises UnknownProvider, InvalidRequest, AttemptExpired, PolicyDenied
        (disabled user), LinkDenied, AccountMismatch, NoOfflineAccess, ProviderMisconfigured, ProviderUnavailable,
        KeyUnavailable, StorageUnavailable.
        """
        provider = self._registry.get(provider_id)
        visitor = Visitor(caller.session_key, caller.identity) if caller else Visitor(None, None)
        attempt = self._check.take(callback)
        try:
            accepted = self._check.accept(attempt, callback, Purpose.LINK, provider, visitor)
            user = self._known_user(accepted.attempt)
            redeemed = redeem(
                self._client,
                provider,
                accepted.attempt,
                accepted.code,
                stray=lambda token: self._revoker.give_back(provider, user.identity, token),
            )
            new = self._received(provider, accepted.attempt, user, redeemed)
            new = replace(new, tokens=with_callback_fields(new.tokens, provider, callback))
            made = self._make(caller, accepted.attempt, new)
        except TokenStoreError as error:
            if attempt is None and caller is None:  # anybody can send these without end: no row
                log.info("a callback without an attempt was refused", extra={"provider": provider.id})
            else:
                self._audit.record(_refusal(caller, provider, error, origin))
            if attempt and attempt.reports and self._check.is_of(attempt, Purpose.LINK, provider, visitor):
                error.report_to = attempt.return_url
            raise
        self._facts.learn(provider.id, of_linking(redeemed.tokens))
        if isinstance(made, Waiting):
            return made
        renewed = made.linked_at < accepted.attempt.expires_at - LIFETIME
        return Linked(provider, made, accepted.attempt.return_url, renewed=renewed, reports=accepted.attempt.reports)

    def _named(self, caller: Caller, provider: Provider, link_id: LinkId | None) -> Link | None:
        """The caller's link of this id, None if none is named. Raises NotFound."""
        if link_id is None:
            return None
        for standing in self._links.standings(caller.identity):
            if standing.link.id == link_id and standing.link.provider_id == provider.id:
                return standing.link
        raise NotFound("There is no such link of yours at this provider.")

    def _known_user(self, attempt: Attempt) -> Profile:
        user = self._users.profile(attempt.user) if attempt.user else None
        if user is None:
            raise PolicyDenied("This user may not link accounts.")
        return user

    def _received(self, provider: Provider, attempt: Attempt, user: Profile, redeemed: Redeemed) -> NewLink:
        """What is to be linked, checked; or what was received for it is given back."""
        tokens, account = redeemed.tokens, None
        try:
            account = self._client.identify(provider, attempt, tokens).account
            check_account(provider, user, account)
            if tokens.refresh_token is None and provider.expects_refresh_token:
                self._check_lasting(provider, user, account)
        except Exception:
            owed = tokens.refresh_token or tokens.access_token
            self._revoker.give_back(provider, user.identity, owed, account)
            raise
        return NewLink(user, provider, account, tokens, frozenset(attempt.scopes), redeemed.elapsed)

    def _make(self, caller: Caller | None, attempt: Attempt, new: NewLink) -> Link | Waiting:
        """The link, stored, or what now waits for the person."""
        try:
            ask = caller is not None and self._confirmations.needed(new)
        except Exception:
            self._attacher.give_back(new)
            raise
        if ask and caller is not None:
            return self._confirmations.ask(new, attempt, caller)
        return self._attacher.attach(new, caller)

    def _check_lasting(self, provider: Provider, user: Profile, account: Account) -> None:
        """Raise NoOfflineAccess unless the account's link holds a refresh token that goes on."""
        standing = self._attacher.standing(user, provider, account)
        if standing is None or not _lasts(standing, provider):
            raise NoOfflineAccess(
                "The provider gave no refresh token, so the link would end with its first access token. "
                "The operator has to allow offline access for this client at the provider."
            )

    def unlink(
        self, caller: Caller, *, provider_id: str | None = None, link_id: LinkId | None = None
    ) -> Sequence[Receipt]:
        """Remove one link (`link_id`) or all of the caller's links at a provider; from then on nothing is handed out.

        Then each refresh token is revoked upstream by one call; what failed stays queued, and the rest of that
        provider's with it, so that a provider that hangs is waited for once. Empty: nothing was linked.
        Raises UnknownProvider, PolicyDenied, StorageUnavailable.
        """
        provider = self._registry.get(provider_id) if provider_id is not None else None
        self._policy.require(caller, caller.identity, Action.UNLINK, provider)
        event = AuditEvent("link.removed", "success", caller, caller.identity)
        removed = self._links.unlink(caller.identity, provider.id if provider else None, link_id, event)
        unwilling: set[ProviderId] = set()
        return [Receipt(unlinked.link, self._settle(unlinked, unwilling)) for unlinked in removed]

    def _settle(self, unlinked: Unlinked, unwilling: set[ProviderId]) -> RevocationResult:
        if unlinked.outbox_id is None:
            return RevocationResult.UNSUPPORTED
        if unlinked.link.provider_id in unwilling:
            return RevocationResult.QUEUED
        result = self._revoker.settle(unlinked.outbox_id)
        if result is RevocationResult.QUEUED:
            unwilling.add(unlinked.link.provider_id)
        return result


def _lasts(standing: Standing, provider: Provider) -> bool:
    """Whether the link's refresh token goes on, as far as is known."""
    ends = standing.link.refresh_expires_at
    return standing.link.refreshable_by(provider.client_id) and (ends is None or ends > standing.now)


def _refusal(caller: Caller | None, provider: Provider, error: TokenStoreError, origin: Origin | None) -> AuditEvent:
    identity = caller.identity if caller else None
    return AuditEvent(
        "link.refused", "failure", caller, identity, provider.id, reason=error.slug, origin=None if caller else origin
    )

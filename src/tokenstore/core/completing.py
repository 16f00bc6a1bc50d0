"""Completing what `linking` began: from the provider's answer to a stored link, or to a question to the person."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from tokenstore.core.accounts import check_account
from tokenstore.core.asking import Asker
from tokenstore.core.attaching import Attacher
from tokenstore.core.attempts import LIFETIME
from tokenstore.core.callback import CallbackCheck, Visitor
from tokenstore.core.exchange import Redeemed, redeem, with_callback_fields
from tokenstore.core.lessons import of_linking
from tokenstore.core.model import (
    Account,
    Attempt,
    AuditEvent,
    Callback,
    Caller,
    Link,
    Origin,
    Profile,
    Provider,
    Purpose,
)
from tokenstore.core.noting import note_failure
from tokenstore.core.places import Places
from tokenstore.core.ports import (
    AuditLog,
    NewLink,
    OnlyOneAccount,
    ProviderClient,
    ProviderFacts,
    Standing,
    UserStore,
    Waiting,
)
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.errors import NoOfflineAccess, PolicyDenied, Report, TokenStoreError

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


class CompletionService:
    """Connects users with accounts at providers."""

    def __init__(
        self,
        registry: Registry,
        users: UserStore,
        check: CallbackCheck,
        client: ProviderClient,
        audit: AuditLog,
        revoker: Revoker,
        facts: ProviderFacts,
        attacher: Attacher,
        asker: Asker,
        places: Places,
    ) -> None:
        self._registry = registry
        self._users = users
        self._check = check
        self._client = client
        self._audit = audit
        self._revoker = revoker
        self._facts = facts
        self._attacher = attacher
        self._asker = asker
        self._places = places

    def complete(
        self, caller: Caller | None, provider_id: str, callback: Callback, origin: Origin | None = None
    ) -> Linked | Waiting:
        """Finish what `LinkingService.begin` started, in the browser session (and by the user) that began it.

        Another account than those linked at the provider is not linked yet: the person is asked (`asking`).
        Every failure ends the attempt and is audited; what belongs to no attempt and to nobody is logged. An attempt
        that reports gives its error where to, if this visitor began it (`TokenStoreError.report_to`). Tokens
        received by then are revoked, unless that could end a link that is there. `origin`: where the request came
        from, for events without a caller. Raises UnknownProvider, InvalidRequest, AttemptExpired, PolicyDenied
        (disabled user), LinkDenied, AccountMismatch, NoOfflineAccess, ProviderMisconfigured, ProviderUnavailable,
        KeyUnavailable, StorageUnavailable; and ProviderBusy, which ends no attempt and is not audited.
        """
        provider = self._registry.get(provider_id)
        with self._places.at(provider):
            return self._complete(caller, provider, callback, origin)

    def _complete(
        self, caller: Caller | None, provider: Provider, callback: Callback, origin: Origin | None
    ) -> Linked | Waiting:
        visitor = Visitor(caller.session_key, caller.identity) if caller else Visitor(None, None)
        attempt = self._check.take(callback)
        try:
            accepted = self._check.accept(attempt, callback, Purpose.LINK, provider, visitor)
            caller, user = self._known(caller, accepted.attempt)
            self._revoker.make_way(provider, user.identity)
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
            if attempt and attempt.reports and self._check.is_of(attempt, Purpose.LINK, provider, visitor):
                error.report_to = Report(attempt.return_url, provider.id)
            if attempt is None and caller is None:  # anybody can send these without end: no row
                log.info("a callback without an attempt was refused", extra={"provider": provider.id})
            else:
                note_failure(self._audit, _refusal(caller, provider, error, origin))
            raise
        self._facts.learn(provider.id, of_linking(redeemed.tokens))
        if isinstance(made, Waiting):
            return made
        renewed = made.linked_at < accepted.attempt.expires_at - LIFETIME
        return Linked(provider, made, accepted.attempt.return_url, renewed=renewed, reports=accepted.attempt.reports)

    def _known(self, caller: Caller | None, attempt: Attempt) -> tuple[Caller, Profile]:
        """Who came back, and as whom the account is linked: the same person, since the attempt was accepted."""
        user = self._users.profile(attempt.user) if attempt.user else None
        if caller is None or user is None:
            raise PolicyDenied("This user may not link accounts.")
        return caller, user

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
        return NewLink(user, provider, account, tokens, frozenset(attempt.scopes), redeemed.sent)

    def _make(self, caller: Caller, attempt: Attempt, new: NewLink) -> Link | Waiting:
        """The link, stored, or what now waits for the person."""
        try:
            ask = self._asker.needed(new)
        except Exception:
            self._attacher.give_back(new)
            raise
        if not ask:
            try:
                return self._attacher.attach(new, caller)
            except OnlyOneAccount:
                log.info("another account was linked in the meantime", extra={"provider": new.provider.id})
        return self._asker.ask(new, attempt, caller)

    def _check_lasting(self, provider: Provider, user: Profile, account: Account) -> None:
        """Raise NoOfflineAccess unless the account's link holds a refresh token that goes on."""
        standing = self._attacher.standing(user.identity, provider, account)
        if standing is None or not _lasts(standing, provider):
            raise NoOfflineAccess(
                "The provider gave no refresh token, so the link would end with its first access token. "
                "The operator has to allow offline access for this client at the provider."
            )


def _lasts(standing: Standing, provider: Provider) -> bool:
    """Whether the link's refresh token goes on, as far as is known."""
    ends = standing.link.refresh_expires_at
    return standing.link.refreshable_by(provider.client_id) and (ends is None or ends > standing.now)


def _refusal(caller: Caller | None, provider: Provider, error: TokenStoreError, origin: Origin | None) -> AuditEvent:
    identity = caller.identity if caller else None
    return AuditEvent(
        "link.refused", "failure", caller, identity, provider.id, reason=error.slug, origin=None if caller else origin
    )

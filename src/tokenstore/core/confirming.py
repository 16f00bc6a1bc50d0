"""When another account than the linked ones comes back: nothing is linked until the person has said what is meant.

Meanwhile the received tokens wait, sealed, in a row of their own. What is cancelled or not answered is given back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from tokenstore.core.accounts import check_account
from tokenstore.core.attaching import Attacher, is_of
from tokenstore.core.model import Account, Attempt, AuditEvent, Caller, Link, LinkId, Provider
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import AuditLog, LinkStore, NewLink, UserStore, Waiting, WaitingStore
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.errors import AttemptExpired, InvalidRequest, PolicyDenied, TokenStoreError

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long received tokens wait for the person."""


class Choice(StrEnum):
    """What becomes of the other account."""

    ADD = "add"
    REPLACE = "replace"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Question:
    """What the person is asked. `linked`: the accounts that are linked, the one that was to be renewed first."""

    id: UUID
    provider: Provider
    account: Account
    linked: Sequence[Link]

    @property
    def may_add(self) -> bool:
        """Whether the account may be linked beside those that are."""
        return self.provider.multi_account or not self.linked


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of it, and where the browser goes. `link` None: cancelled."""

    provider: Provider
    link: Link | None
    return_url: str
    reports: bool


class ConfirmationService:
    """Asks, and does what the person says. Only the browser session that came back may answer."""

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        users: UserStore,
        links: LinkStore,
        waiting: WaitingStore,
        audit: AuditLog,
        revoker: Revoker,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._users = users
        self._links = links
        self._waiting = waiting
        self._audit = audit
        self._revoker = revoker
        self._attacher = Attacher(links, revoker)

    def needed(self, new: NewLink) -> bool:
        """Whether the user has linked other accounts at the provider, and not this one."""
        linked = [one.link for one in self._attacher.standings(new.user, new.provider)]
        return bool(linked) and not any(is_of(link, new.account) for link in linked)

    def ask(self, new: NewLink, attempt: Attempt, caller: Caller) -> Waiting:
        """Let the tokens wait for the person. What waited for the same before is given back.

        Raises KeyUnavailable, StorageUnavailable; then the tokens are given back, too.
        """
        waiting = Waiting(
            id=uuid4(),
            user=new.user.identity,
            provider_id=new.provider.id,
            client_id=new.provider.client_id,
            account=new.account,
            tokens=new.tokens,
            scopes_requested=new.scopes_requested,
            elapsed=new.elapsed,
            return_url=attempt.return_url,
            reports=attempt.reports,
            link_id=attempt.link_id,
        )
        stale: Sequence[Waiting] = ()
        try:
            stale = self._waiting.take_stale(new.user.identity, new.provider.id)
            self._waiting.save(waiting, caller.session_key or "", PATIENCE)
        except Exception:
            self._attacher.give_back(new)
            raise
        finally:
            self._let_go(stale)
        self._audit.record(AuditEvent("link.waiting", "success", caller, waiting.user, waiting.provider_id))
        return waiting

    def sweep(self) -> None:
        """Give back what nobody answered for in time. Raises StorageUnavailable."""
        self._let_go(self._waiting.take_stale())

    def question(self, caller: Caller, waiting_id: UUID) -> Question:
        """What is to be answered. Raises AttemptExpired, PolicyDenied, UnknownProvider, StorageUnavailable."""
        waiting = self._waiting.find(waiting_id, caller.identity, caller.session_key or "")
        if waiting is None:
            raise _over()
        provider = self._registry.get(waiting.provider_id)
        self._policy.require(caller, caller.identity, Action.LINK, provider)
        linked = [one.link for one in self._links.standings(caller.identity) if one.link.provider_id == provider.id]
        linked.sort(key=lambda one: one.id != waiting.link_id)
        return Question(waiting_id, provider, waiting.account, linked)

    def decide(self, caller: Caller, waiting_id: UUID, choice: Choice, link_id: LinkId | None = None) -> Decided:
        """Link the account beside the others, in place of one (`link_id`), or not at all; it can be said once.

        Where only one account may be linked, all others are replaced. The replaced account's part as default goes to
        the new one. Raises InvalidRequest, PolicyDenied, AttemptExpired, AccountMismatch and what storing raises.
        """
        question = self.question(caller, waiting_id)
        provider = question.provider
        replaced = _replaced(question, choice, link_id)
        if replaced:
            self._policy.require(caller, caller.identity, Action.UNLINK, provider)
        waiting = self._waiting.take(waiting_id, caller.identity, caller.session_key or "")
        user = self._users.profile(caller.identity)
        if waiting is None:
            raise _over()
        if choice is Choice.CANCEL or user is None or waiting.client_id != provider.client_id:
            self._give_back(waiting, provider)
            error = PolicyDenied("This user may not link accounts.") if user is None else _over()
            cancelled = choice is Choice.CANCEL
            self._audit.record(_refused(waiting, "cancelled" if cancelled else error.slug, caller))
            if not cancelled:
                raise error
            return Decided(provider, None, waiting.return_url, waiting.reports)
        new = NewLink(user, provider, waiting.account, waiting.tokens, waiting.scopes_requested, waiting.elapsed)
        try:
            check_account(provider, user, waiting.account)
        except TokenStoreError as error:
            self._attacher.give_back(new)
            self._audit.record(_refused(waiting, error.slug, caller))
            raise
        link = self._attacher.attach(new, caller)
        self._replace(caller, replaced, link)
        return Decided(provider, link, waiting.return_url, waiting.reports)

    def _replace(self, caller: Caller, replaced: Sequence[Link], link: Link) -> None:
        user = caller.identity
        if any(old.is_default for old in replaced):
            self._links.make_default(user, link.id, AuditEvent("link.default", "success", caller, user))
        for old in replaced:
            event = AuditEvent("link.removed", "success", caller, user, reason="replaced")
            for gone in self._links.unlink(user, None, old.id, event):
                if gone.outbox_id is not None:
                    self._revoker.settle(gone.outbox_id)

    def _let_go(self, stale: Sequence[Waiting]) -> None:
        for waiting in stale:
            try:
                self._give_back(waiting, self._registry.get(waiting.provider_id))
                self._audit.record(_refused(waiting, "unanswered"))
            except TokenStoreError as error:
                log.warning(
                    "tokens that waited are let go", extra={"provider": waiting.provider_id, "because": error.slug}
                )

    def _give_back(self, waiting: Waiting, provider: Provider) -> None:
        if waiting.client_id == provider.client_id:  # no other client can revoke them
            owed = waiting.tokens.refresh_token or waiting.tokens.access_token
            self._revoker.give_back(provider, waiting.user, owed, waiting.account)


def _replaced(question: Question, choice: Choice, link_id: LinkId | None) -> Sequence[Link]:
    """The links to be replaced. Raises InvalidRequest where the choice is not open."""
    if choice is Choice.ADD and not question.may_add:
        raise InvalidRequest("Only one account can be linked here. Replace the one that is linked, or cancel.")
    if choice is not Choice.REPLACE:
        return []
    if not question.provider.multi_account:
        return question.linked
    named = [link for link in question.linked if link.id == link_id]
    if not named:
        raise InvalidRequest("Choose which of your accounts is to be replaced.")
    return named


def _over() -> AttemptExpired:
    return AttemptExpired("This question was answered already or is too old. Nothing was linked by it. Start again.")


def _refused(waiting: Waiting, reason: str, caller: Caller | None = None) -> AuditEvent:
    return AuditEvent("link.refused", "failure", caller, waiting.user, waiting.provider_id, reason=reason)

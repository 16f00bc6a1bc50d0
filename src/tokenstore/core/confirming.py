"""What a person says to another account than the linked ones: link it, too, put it in place of one, or not at all.

How the question comes to be asked is `asking`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from tokenstore.core.accounts import check_account
from tokenstore.core.asking import Asker
from tokenstore.core.attaching import Attacher
from tokenstore.core.model import Account, Caller, Link, LinkId, Provider
from tokenstore.core.policy import Action, Policy
from tokenstore.core.ports import NewLink, NotWaiting, OnlyOneAccount, UserStore, Waiting, WaitingStore
from tokenstore.core.registry import Registry
from tokenstore.errors import AttemptExpired, InvalidRequest, PolicyDenied, Report, RetryLater, TokenStoreError


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
    """Does what the person says. Only the browser session that came back may answer.

    An error that ends the question, or keeps it from being answered, says where to tell it, if the linking reports
    (`TokenStoreError.report_to`).
    """

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        users: UserStore,
        waiting: WaitingStore,
        attacher: Attacher,
        asker: Asker,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._users = users
        self._waiting = waiting
        self._attacher = attacher
        self._asker = asker

    def question(self, caller: Caller, waiting_id: UUID) -> Question:
        """What is to be answered. Raises AttemptExpired, PolicyDenied, UnknownProvider, StorageUnavailable."""
        waiting = self._found(caller, waiting_id)
        with _reported(waiting):
            if waiting.over:
                raise _over()
            return self._question(caller, waiting)

    def decide(self, caller: Caller, waiting_id: UUID, choice: Choice, link_id: LinkId | None = None) -> Decided:
        """Link the account beside the others, in place of one (`link_id`), or not at all; it can be said once.

        Where only one account may be linked, all others are replaced. The replaced account's part as default goes to
        the new one. Raises InvalidRequest, PolicyDenied, AttemptExpired, AccountMismatch and what storing raises;
        where that is a RetryLater, the question stays open.
        """
        waiting = self._found(caller, waiting_id)
        with _reported(waiting):
            if waiting.over:
                self._asker.give_up(waiting, "unanswered", caller)
                raise _over()
            question = self._question(caller, waiting)
            replaced = _replaced(question, choice, link_id)
            if choice is Choice.REPLACE:
                self._policy.require(caller, caller.identity, Action.UNLINK, question.provider)
            new = None if choice is Choice.CANCEL else self._checked(caller, question.provider, waiting)
        link = None
        if new is None:
            if not self._asker.give_up(waiting, "cancelled", caller):
                raise _over()
        else:
            try:
                link = self._link(caller, waiting, new, replaced if choice is Choice.REPLACE else None)
            except NotWaiting:  # whoever answered it tells what came of it
                raise _over() from None
        return Decided(question.provider, link, waiting.return_url, waiting.reports)

    def _found(self, caller: Caller, waiting_id: UUID) -> Waiting:
        waiting = self._waiting.find(waiting_id, caller.identity, caller.session_key or "")
        if waiting is None:
            raise _over()
        return waiting

    def _question(self, caller: Caller, waiting: Waiting) -> Question:
        provider = self._registry.get(waiting.provider_id)
        self._policy.require(caller, caller.identity, Action.LINK, provider)
        linked = [one.link for one in self._attacher.standings(caller.identity, provider)]
        linked.sort(key=lambda one: one.id != waiting.link_id)
        return Question(waiting.id, provider, waiting.account, linked)

    def _checked(self, caller: Caller, provider: Provider, waiting: Waiting) -> NewLink:
        """What is to be linked; what may not be is given back."""
        user = self._users.profile(caller.identity)
        try:
            if user is None:
                raise PolicyDenied("This user may not link accounts.")
            if waiting.client_id != provider.client_id:
                raise _over()
            check_account(provider, user, waiting.account)
        except TokenStoreError as error:
            self._asker.give_up(waiting, error.slug, caller)
            raise
        return NewLink(
            user, provider, waiting.account, waiting.tokens, waiting.scopes_requested, waiting.sent, waiting.id
        )

    def _link(self, caller: Caller, waiting: Waiting, new: NewLink, replaced: Sequence[Link] | None) -> Link:
        """The account, linked in place of these, or beside the others if None. Raises NotWaiting."""
        with _reported(waiting):
            if replaced is not None:
                return self._attacher.swap(new, [link.id for link in replaced], caller)
            try:
                return self._attacher.attach(new, caller)
            except OnlyOneAccount:
                error = AttemptExpired("Another account was linked in the meantime, so this one was not. Start again.")
                self._asker.give_up(waiting, error.slug, caller)
                raise error from None


@contextmanager
def _reported(waiting: Waiting) -> Iterator[None]:
    """Errors of the block say where to tell them, unless the person may still answer."""
    try:
        yield
    except TokenStoreError as error:
        if waiting.reports and not isinstance(error, InvalidRequest | RetryLater):
            error.report_to = Report(waiting.return_url, waiting.provider_id)
        raise


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

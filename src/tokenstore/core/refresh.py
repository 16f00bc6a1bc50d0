"""One refresh of one link: lease, provider call, fenced write. The protocol is explained in `docs/explanation`.

Runs in a flight's thread. Owns what to do with each outcome; how an answer becomes an outcome is the provider
client's business, and whether a refresh is wanted is the token service's.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

from tokenstore.core.lessons import GRACE, Fact, of_refresh
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    AccessToken,
    Asked,
    AuditEvent,
    Caller,
    Granted,
    Holding,
    Lease,
    Link,
    LinkState,
    Misconfigured,
    Outcome,
    Provider,
    Refused,
    RotationKind,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import Failure, LinkStore, ProviderClient, ProviderFacts
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.errors import (
    NotLinked,
    ProviderMisconfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshInProgress,
    ScopeNotGranted,
    StorageUnavailable,
    TokenStoreError,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = (0.02, 0.2)
"""Shortest and longest pause of one who waits for another process's refresh."""

SAVE_FOR_SECONDS = 60.0
"""How long a received token set is offered to a database that does not take it."""

BACK_OFF_FIRST = timedelta(seconds=5)
BACK_OFF_MOST = timedelta(minutes=15)
RETRY_AFTER_MOST = timedelta(hours=1)
MISCONFIGURED_PAUSE = timedelta(seconds=10)
"""How long a link is not tried again whose provider refuses this service, until the operator has mended it."""

MISCONFIGURED = "misconfigured:"
"""What the recorded reason of such a failure starts with."""

RETRIES_WHEN_UNAVAILABLE = 2
RETRIES_WHEN_UNCLEAR = 1

ASK_LATER = frozenset({"slow_down", "status-408", "status-425", "status-429", "status-503", "temporarily_unavailable"})
"""Reasons of `Unavailable` in which a provider asks for patience: they are not repeated within the flight."""

FLIGHT_SECONDS = 26.0
"""No repetition is begun that could end later than this after the first request; an orderly stop waits for it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a flight is to bring home: a token of this variant for this link, newer than `seen`."""

    provider: Provider
    caller: Caller
    link: Link
    asked: Asked
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, pause and dice of the protocol, handed in so that tests need no waiting. Seconds."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


class _Moved(Exception):
    """The link changed under the lease: look again."""


class Refresher:
    """Brings fresh access tokens home without ever losing a refresh token.

    node: name of this machine, for whoever reads the leases in the database. wait_seconds: how long to follow another
    process's refresh before giving up.
    """

    def __init__(
        self,
        links: LinkStore,
        client: ProviderClient,
        facts: ProviderFacts,
        revoker: Revoker,
        metrics: Metrics,
        *,
        node: str,
        wait_seconds: float,
        timing: Timing | None = None,
    ) -> None:
        self._links = links
        self._client = client
        self._facts = facts
        self._revoker = revoker
        self._metrics = metrics
        self._node = node
        self._wait_seconds = wait_seconds
        self._timing = timing or Timing()

    def bring(self, errand: Errand) -> AccessToken:
        """A token newer than `errand.seen`, refreshed here or by whoever holds the lease.

        Raises what `obstacle` names, RefreshInProgress when another process takes too long, NotLinked when the link
        went away, ProviderUnavailable, ProviderMisconfigured, ScopeNotGranted, StorageUnavailable, KeyUnavailable.
        """
        give_up = self._timing.monotonic() + self._wait_seconds
        pause, longest_pause = POLL_SECONDS
        link = errand.link
        owner = f"{self._node}/{uuid4()}"
        while True:
            lease = self._links.take_lease(link, owner, errand.provider.rotation.lease)
            if lease is not None:
                try:
                    return self._spend(errand, lease)
                except _Moved:
                    log.info("link moved during its refresh", extra={"link": str(link.id)})
                except TokenStoreError:
                    raise
                except Exception:
                    log.exception("refresh failed unexpectedly", extra={"link": str(link.id)})
                    self._links.release_lease(lease, Failure("internal", back_off(lease.link.fail_count)))
                    raise
            holding = self._reread(errand)
            if holding.token is not None and (errand.seen is None or holding.token.issued_at > errand.seen):
                return holding.token
            problem = obstacle(errand.provider, holding)
            if problem is not None:
                raise problem
            if self._timing.monotonic() >= give_up:
                raise RefreshInProgress(
                    "Another request is refreshing this token and has not finished. Ask again.",
                    retry_after=timedelta(seconds=1),
                )
            link = holding.link
            self._timing.sleep(self._timing.uniform(pause / 2, pause))
            pause = min(pause * 2, longest_pause)

    def _reread(self, errand: Errand) -> Holding:
        holding = self._links.read(errand.caller.identity, errand.provider.id, errand.link.id, errand.asked.variant)
        if holding is None:
            raise NotLinked("The link was removed meanwhile.", provider_id=errand.provider.id)
        return holding

    def _spend(self, errand: Errand, lease: Lease) -> AccessToken:
        """Spend the lease's refresh token: calls with retries, then the outcome's consequence."""
        spent, facts = lease.refresh_token, frozenset[Fact]()
        outcome, sent = self._call_until_clear(errand, lease, spent)
        if lease.previous_token is not None and may_try_previous(errand.provider, outcome):
            log.warning("refresh token refused, trying the previous one", extra={"link": str(lease.link.id)})
            self._renew(errand, lease)
            spent, facts = lease.previous_token, frozenset({GRACE})
            outcome, sent = self._call_until_clear(errand, lease, spent)
        match outcome:
            case Granted(tokens):
                token = self._save(errand, lease, tokens, sent)
                self._facts.learn(errand.provider.id, facts | of_refresh(tokens, spent))
                return token
            case Refused(code):
                raise self._break(errand, lease, code)
            case Misconfigured(code):
                failure = Failure(MISCONFIGURED + code, MISCONFIGURED_PAUSE, counts=False)
                self._links.release_lease(lease, failure)
                log.error("provider refuses this service", extra={"provider": errand.provider.id, "code": code})
                raise misconfigured(errand.provider)
            case ScopeRefused(code):
                self._links.release_lease(lease, None)
                raise ScopeNotGranted(
                    "The provider does not give this scope, audience or resource for the link. Ask for less.",
                    provider_id=errand.provider.id,
                    debug=code,
                )
            case Unclear(reason, refresh_token):
                raise self._keep_what_came(errand, lease, reason, refresh_token)
            case Unavailable(reason, retry_after):
                raise self._back_off(errand, lease, reason, retry_after)

    def _call(self, provider: Provider, lease: Lease, token: Secret, asked: Asked) -> Outcome:
        try:
            return self._client.refresh(provider, token, asked, lease.link.scopes_granted, lease.link.account)
        except ProviderUnavailable as error:  # its metadata cannot be had
            return Unavailable(error.debug or error.slug)
        except ProviderMisconfigured as error:
            return Misconfigured(error.debug or error.slug)

    def _call_until_clear(self, errand: Errand, lease: Lease, token: Secret) -> tuple[Outcome, float]:
        """Call, and repeat what may be repeated; the last outcome and when its request was sent (monotonic)."""
        provider = errand.provider
        unavailable = unclear = 0
        last_start = self._timing.monotonic() + FLIGHT_SECONDS - provider.rotation.deadline.total_seconds()
        while True:
            sent = self._timing.monotonic()
            outcome = self._call(provider, lease, token, errand.asked)
            in_time = self._timing.monotonic() <= last_start
            match outcome:
                case Unavailable(reason, None) if (
                    reason not in ASK_LATER and unavailable < RETRIES_WHEN_UNAVAILABLE and in_time
                ):
                    unavailable += 1
                    self._timing.sleep(self._timing.uniform(0.2, 2.0))
                case Unclear(refresh_token=None) if unclear < RETRIES_WHEN_UNCLEAR and in_time:
                    unclear += 1
                case ScopeRefused() if errand.asked.nothing and provider.refresh_scope != "none":
                    log.error("provider refuses the configured refresh scope", extra={"provider": provider.id})
                    provider = replace(provider, refresh_scope="none")
                case ScopeRefused(code) if errand.asked.nothing:
                    return Misconfigured(code), sent
                case _:
                    return outcome, sent
            self._renew(errand, lease)

    def _renew(self, errand: Errand, lease: Lease) -> None:
        if not self._links.renew_lease(lease, errand.provider.rotation.lease):
            raise _Moved

    def _save(self, errand: Errand, lease: Lease, tokens: TokenSet, sent: float) -> AccessToken:
        """The token set into the database before anything else happens.

        If the database takes it and cannot keep it, at least the refresh token is kept.
        """
        event = AuditEvent(
            "token.refresh", "success", errand.caller, errand.caller.identity, errand.provider.id, errand.link.id
        )

        def save() -> AccessToken | None:
            received = self._with_kept(errand, tokens)
            elapsed = timedelta(seconds=self._timing.monotonic() - sent)
            return self._links.save_refreshed(lease, errand.provider, received, errand.asked, elapsed, event)

        try:
            token = self._insist(lease, save, StorageUnavailable)
        except StorageUnavailable:
            raise
        except Exception as error:
            log.exception("a refresh cannot be saved whole", extra={"link": str(lease.link.id)})
            raise self._keep_what_came(errand, lease, "internal", tokens.refresh_token) from error
        if token is None:
            raise self._superseded(lease, tokens)
        return token

    def _superseded(self, lease: Lease, tokens: TokenSet) -> _Moved:
        """Tokens that missed the fence: kept, or revoked."""
        self._metrics.fence_missed(lease.link.provider_id)
        owed = self._insist(lease, lambda: self._links.settle_superseded(lease, tokens))
        if owed is not None:
            self._revoker.settle(owed)
        return _Moved()

    def _with_kept(self, errand: Errand, tokens: TokenSet) -> TokenSet:
        """The tokens with the kept fields that came at linking or earlier and that this answer does not repeat."""
        provider = errand.provider
        names = {*provider.keep_fields, *provider.keep_callback_fields} - tokens.extra.keys()
        if not names:
            return tokens
        plain = Asked().variant
        holding = self._links.read(errand.caller.identity, provider.id, errand.link.id, plain)
        before = holding.token.extra if holding is not None and holding.token is not None else {}
        kept = {name: value for name, value in before.items() if name in names}
        return replace(tokens, extra={**kept, **tokens.extra})

    def _insist(self, lease: Lease, write: Callable[[], T], when: type[Exception] = Exception) -> T:
        """Offer what a provider gave to a database that does not take it, again and again (60 s).

        `when`: after which errors; any other is raised at once.
        """
        give_up = self._timing.monotonic() + SAVE_FOR_SECONDS
        while True:
            try:
                return write()
            except when:
                if self._timing.monotonic() >= give_up:
                    log.critical("a refreshed token could not be saved", extra={"link": str(lease.link.id)})
                    raise
                self._timing.sleep(self._timing.uniform(0.1, 1.0))

    def _break(self, errand: Errand, lease: Lease, code: str) -> TokenStoreError:
        """The provider's no about this grant, believed only if nobody moved the link meanwhile."""
        event = AuditEvent(
            "link.broken", "failure", errand.caller, errand.caller.identity, errand.provider.id, errand.link.id, code
        )
        if not self._links.break_link(lease, code, event):
            raise _Moved
        self._metrics.link_broken(errand.provider.id)
        return reauthorization_required(errand.provider, None)

    def _keep_what_came(
        self, errand: Errand, lease: Lease, reason: str, refresh_token: Secret | None
    ) -> TokenStoreError:
        if refresh_token is None:
            return self._back_off(errand, lease, reason, None)
        failure = Failure(reason, back_off(lease.link.fail_count))
        if not self._insist(lease, lambda: self._links.save_rotation(lease, errand.provider, refresh_token, failure)):
            raise self._superseded(lease, TokenSet(access_token=refresh_token, refresh_token=refresh_token))
        return unavailable(back_off(lease.link.fail_count))

    def _back_off(self, errand: Errand, lease: Lease, reason: str, retry_after: timedelta | None) -> TokenStoreError:
        pause = min(retry_after, RETRY_AFTER_MOST) if retry_after else back_off(lease.link.fail_count)
        self._links.release_lease(lease, Failure(reason, pause))
        log.warning("provider unavailable", extra={"provider": errand.provider.id, "reason": reason})
        return unavailable(pause)


def back_off(fail_count: int) -> timedelta:
    """Pause after the (fail_count + 1)-th failure in a row: 5 s doubled each time, at most 15 min."""
    return min(BACK_OFF_FIRST * (1 << min(fail_count, 10)), BACK_OFF_MOST)


def may_try_previous(provider: Provider, outcome: Outcome) -> bool:
    """Whether a refresh token that was replaced may be tried after this outcome of the current one."""
    if not isinstance(outcome, Refused) or outcome.code == ACCOUNT_CHANGED:
        return False
    return provider.rotation.kind is not RotationKind.STRICT


def obstacle(provider: Provider, holding: Holding) -> TokenStoreError | None:
    """Why this link cannot be refreshed now, or None if it can. Says nothing of a token already in hand."""
    link = holding.link
    if link.state is LinkState.BROKEN:
        return reauthorization_required(provider, link.last_error_at)
    if link.client_id != provider.client_id or not link.has_refresh_token or not provider.refreshes:
        return reauthorization_required(provider, None)
    if link.next_try_at is not None and link.next_try_at > holding.now:
        if link.last_error is not None and link.last_error.startswith(MISCONFIGURED):
            return misconfigured(provider)
        return unavailable(link.next_try_at - holding.now)
    return None


def reauthorization_required(provider: Provider, since: datetime | None) -> ReauthorizationRequired:
    """The error that asks for the person."""
    return ReauthorizationRequired(
        "The link gives no fresh tokens any more. Open authorize_url and link the account again.",
        provider_id=provider.id,
        since=since,
    )


def unavailable(retry_after: timedelta) -> ProviderUnavailable:
    """The error of an outage at the provider."""
    return ProviderUnavailable(
        "The provider does not give tokens at the moment. The link is kept; ask again later.", retry_after=retry_after
    )


def misconfigured(provider: Provider) -> ProviderMisconfigured:
    """The error of a provider that refuses the store itself."""
    return ProviderMisconfigured(
        "The provider refuses this service's request. The link is kept; the operator has to check the settings of "
        f"provider {provider.id!r} (client id, client secret)."
    )

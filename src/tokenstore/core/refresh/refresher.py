"""Lease, provider call, and what each outcome means for the link. Runs in a flight's thread, or in the keeper's."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

from tokenstore.core.lessons import GRACE, Fact, of_refresh
from tokenstore.core.metrics import Metrics
from tokenstore.core.model import (
    ACCOUNT_CHANGED,
    ISSUER_CHANGED,
    PAUSED,
    AccessToken,
    Doubt,
    Granted,
    Holding,
    Lease,
    Link,
    LinkState,
    Misconfigured,
    Refused,
    Respect,
    Rotation,
    RotationKind,
    ScopeRefused,
    TokenSet,
    Unavailable,
    Unclear,
)
from tokenstore.core.ports import Failure, LinkStore, ProviderFacts, QuarantineStore
from tokenstore.core.refresh.calling import OUT_OF_TIME, Calling, may_try_previous
from tokenstore.core.refresh.errand import Errand, Timing
from tokenstore.core.refresh.keeping import Keeping, Superseded
from tokenstore.core.refresh.obstacles import (
    MISCONFIGURED,
    back_off,
    in_doubt,
    misconfigured,
    obstacle,
    reauthorization_required,
    unavailable,
)
from tokenstore.core.refresh.recovery import Recovery
from tokenstore.core.refresh.tenure import SPARE_SECONDS, Tenure, last_start
from tokenstore.core.refresh.unreturned import Unreturned
from tokenstore.core.refusals import SUSPECTED, MassRefusal, Refusal
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spool, SpoolPlace
from tokenstore.errors import (
    NotLinked,
    RefreshInProgress,
    ScopeNotGranted,
    StorageUnavailable,
    TokenStoreError,
)

log = logging.getLogger(__name__)

POLL_SECONDS = (0.02, 0.2)
"""Shortest and longest pause of one who waits for another process's refresh."""

DOUBT_SECONDS = (5.0, 30.0)
"""Between a provider's first no to a link and the attempt that confirms it."""

MISCONFIGURED_PAUSE = timedelta(seconds=10)
"""How long a link is not tried again whose provider refuses this service, until the operator has mended it."""

ANOTHER_MACHINES_SPOOL = timedelta(seconds=90)
"""How long after its end another machine's lease is respected where a used refresh token works no more: longer than an
answer is offered to the database, so that what is in that machine's spool comes first."""


class Refresher:
    """Brings fresh access tokens home without ever losing a refresh token.

    wait_seconds: how long to follow another process's refresh before giving up.
    """

    def __init__(
        self,
        links: LinkStore,
        quarantines: QuarantineStore,
        calling: Calling,
        keeping: Keeping,
        recovery: Recovery,
        spool: Spool,
        facts: ProviderFacts,
        revoker: Revoker,
        metrics: Metrics,
        timing: Timing,
        *,
        wait_seconds: float,
    ) -> None:
        self._links = links
        self._quarantines = quarantines
        self._calling = calling
        self._keeping = keeping
        self._recovery = recovery
        self._spool = spool
        self._facts = facts
        self._revoker = revoker
        self._metrics = metrics
        self._timing = timing
        self._wait_seconds = wait_seconds
        self._unreturned = Unreturned(links, timing.monotonic)

    def bring(self, errand: Errand) -> AccessToken:
        """A token newer than `errand.seen`, refreshed here or by whoever holds the lease.

        Raises what `obstacle` names, RefreshInProgress when another process takes too long, NotLinked when the link
        went away, ProviderUnavailable, ProviderMisconfigured, ScopeNotGranted, StorageUnavailable, KeyUnavailable.
        """
        give_up = self._timing.monotonic() + self._wait_seconds
        pause, longest_pause = POLL_SECONDS
        link, looked, searched = errand.link, False, False
        while True:
            taken = self._timing.monotonic()
            lease = self._take_lease(errand, link)
            if lease is not None and not self._is_in_spool(lease):
                try:
                    return self.refresh_leased(errand, lease, taken)
                except Superseded:
                    log.info("link moved during its refresh", extra={"link": str(link.id)})
            holding = self._reread(errand)
            if holding.token is not None and (errand.seen is None or holding.token.issued_at > errand.seen):
                return holding.token
            problem = obstacle(errand.provider, holding)
            if problem is None and not looked:
                problem, looked = self._in_quarantine(errand), True
            if problem is not None:
                raise problem
            if self._timing.monotonic() >= give_up:
                # An answer that has waited for so long is a dead process's rather than one about to be saved.
                if searched or not self._recovery.replay_link(link.id):
                    raise RefreshInProgress(
                        "Another request is refreshing this token and has not finished. Ask again.",
                        retry_after=timedelta(seconds=1),
                    )
                searched = True
            link = holding.link
            self._timing.sleep(self._timing.uniform(pause / 2, pause))
            pause = min(pause * 2, longest_pause)

    def refresh_leased(self, errand: Errand, lease: Lease, taken: float) -> AccessToken:
        """Spend a lease that is held, and give it back whatever comes of it.

        `taken`: the monotonic time before the lease was asked for. Raises Superseded when the link moved meanwhile,
        else as `bring` does.
        """
        tenure = Tenure(self._links, lease, errand.provider.rotation, self._timing, taken)
        place = self._begin(tenure)
        try:
            return self._spend(errand, tenure, place)
        except (TokenStoreError, Superseded):
            raise
        except Exception:
            log.exception("refresh failed unexpectedly", extra={"link": str(lease.link.id)})
            self._links.release_lease(lease, Failure("internal", back_off(lease.link.fail_count)))
            raise
        finally:
            place.close()

    def settle(self) -> None:
        """Give back all leases that the database may hold for this process without a use. Raises StorageUnavailable."""
        self._unreturned.settle_all()

    def _take_lease(self, errand: Errand, link: Link) -> Lease | None:
        self._unreturned.settle(link.id)
        rotation = errand.provider.rotation
        owner = f"{self._spool.name()}/{uuid4()}"
        try:
            return self._links.take_lease(link, owner, rotation.lease, respect(rotation))
        except StorageUnavailable:  # which may have taken it all the same, or be about to
            self._unreturned.note(Lease(link, owner, link.version, Secret(""), None))
            raise

    def _is_in_spool(self, lease: Lease) -> bool:
        """Whether a process that died left an answer, which has found its place now; the lease is given back then."""
        with ExitStack() as undo:
            undo.callback(self._give_back, lease)
            if not self._recovery.replay_link(lease.link.id):
                undo.pop_all()
                return False
        return True

    def _begin(self, tenure: Tenure) -> SpoolPlace:
        """Room for the answer, and a lease that outlasts a call; else it is given back, as nothing was sent."""
        with ExitStack() as undo:
            undo.callback(self._give_back, tenure.lease)
            place = self._spool.reserve(tenure.lease.link)
            undo.callback(place.close)
            tenure.begin()
            undo.pop_all()
        return place

    def _give_back(self, lease: Lease) -> None:
        """Nothing was sent. If the database does not take that, it is told before the next try."""
        try:
            self._links.release_lease(lease, None)
        except StorageUnavailable:
            self._unreturned.note(lease)

    def _reread(self, errand: Errand) -> Holding:
        holding = self._links.read(errand.caller.identity, errand.provider.id, errand.link.id, errand.asked.variant)
        if holding is None:
            raise NotLinked("The link was removed meanwhile.", provider_id=errand.provider.id)
        return holding

    def _in_quarantine(self, errand: Errand) -> TokenStoreError | None:
        wait = self._quarantines.next_probe(errand.provider.id)
        return None if wait is None else unavailable(max(wait, timedelta(seconds=1)))

    def _spend(self, errand: Errand, tenure: Tenure, place: SpoolPlace) -> AccessToken:
        """Spend the lease's refresh token: calls with retries, then the outcome's consequence."""
        lease = tenure.lease
        spent, facts = lease.refresh_token, frozenset[Fact]()
        called = self._calling.until_clear(errand, tenure, spent)
        doubt = Doubt.UNANSWERED if called.unanswered else None
        if lease.previous_token is not None and may_try_previous(errand.provider, called.outcome):
            if not tenure.in_time():  # and a refusal would erase it
                raise self._back_off(errand, lease, OUT_OF_TIME, None, doubt)
            log.warning("refresh token refused, trying the previous one", extra={"link": str(lease.link.id)})
            tenure.renew(doubt)
            spent, facts = lease.previous_token, frozenset({GRACE})
            called = self._calling.until_clear(errand, tenure, spent)
            doubt = Doubt.UNANSWERED if called.unanswered else doubt
        match called.outcome:
            case Granted(tokens):
                token = self._save(errand, lease, tokens, called.sent, place)
                self._facts.learn(errand.provider.id, facts | of_refresh(tokens, spent))
                return token
            case Refused() as refused:
                raise self._refused(errand, lease, refused, doubt)
            case Misconfigured(code, refresh_token):
                doubt = doubt if refresh_token is None else None
                # A token that is given all the same is spent by each try.
                given = code == ISSUER_CHANGED
                pause = back_off(lease.link.fail_count) if given else MISCONFIGURED_PAUSE
                failure = Failure(MISCONFIGURED + code, pause, counts=given, doubt=doubt)
                if refresh_token is None:
                    self._links.release_lease(lease, failure)
                else:
                    self._keeping.save_rotation(errand, lease, refresh_token, called.sent, failure, place)
                log.error("provider refuses this service", extra={"provider": errand.provider.id, "because": code})
                raise misconfigured(errand.provider, code)
            case ScopeRefused(code):
                failed = Failure(code, timedelta(), counts=False, doubt=doubt) if doubt else None
                self._links.release_lease(lease, failed)
                raise ScopeNotGranted(
                    "The provider does not give this scope, audience or resource for the link. Ask for less.",
                    provider_id=errand.provider.id,
                    debug=code,
                )
            case Unclear(reason, refresh_token) if refresh_token is not None:
                raise self._keep_rotation(errand, lease, reason, refresh_token, called.sent, place)
            case Unclear(reason):
                raise self._back_off(errand, lease, reason, None, Doubt.UNANSWERED)
            case Unavailable(reason, retry_after) if reason == PAUSED:
                pause = retry_after or MISCONFIGURED_PAUSE
                failed = Failure(reason, pause, counts=False, doubt=doubt) if doubt else None
                self._links.release_lease(lease, failed)
                raise unavailable(pause)
            case Unavailable(reason, retry_after):
                raise self._back_off(errand, lease, reason, retry_after, doubt)

    def _save(self, errand: Errand, lease: Lease, tokens: TokenSet, sent: float, place: SpoolPlace) -> AccessToken:
        try:
            return self._keeping.save(errand, lease, tokens, sent, place)
        except (StorageUnavailable, Superseded):
            raise
        except Exception as error:
            log.exception("a refresh cannot be saved whole", extra={"link": str(lease.link.id)})
            if tokens.refresh_token is None:
                raise self._back_off(errand, lease, "internal", None, None) from error
            raise self._keep_rotation(errand, lease, "internal", tokens.refresh_token, sent, place) from error

    def _keep_rotation(
        self, errand: Errand, lease: Lease, reason: str, refresh_token: Secret, sent: float, place: SpoolPlace
    ) -> TokenStoreError:
        pause = back_off(lease.link.fail_count)
        self._keeping.save_rotation(errand, lease, refresh_token, sent, Failure(reason, pause), place)
        return unavailable(pause)

    def _refused(self, errand: Errand, lease: Lease, refused: Refused, doubt: Doubt | None) -> TokenStoreError:
        """The provider's no about this grant: believed when it comes twice, and not when it comes to too many."""
        provider, pause = errand.provider, timedelta(seconds=self._timing.uniform(*DOUBT_SECONDS))
        if refused.received is not None:
            owed = refused.received.refresh_token or refused.received.access_token
            self._revoker.give_back(provider, errand.caller.identity, owed, refused.account)
        refusal = Refusal(refused.code, pause, final=refused.code == ACCOUNT_CHANGED, doubt=doubt)
        verdict = self._links.refuse(lease, refusal, MassRefusal(), errand.about(SUSPECTED))
        if verdict is None:
            raise Superseded
        if verdict.quarantined:
            self._metrics.quarantined(provider.id)
            log.critical("provider refuses too many links: in quarantine", extra={"provider": provider.id})
        if verdict.state is not LinkState.BROKEN:
            log.warning("provider refused a link once", extra={"link": str(lease.link.id), "because": refused.code})
            return in_doubt(verdict.retry_in)
        self._metrics.link_broken(provider.id)
        if doubt := doubt or lease.link.doubt:
            self._metrics.link_lost(provider.id, doubt)
            log.error("a link is lost", extra={"link": str(lease.link.id), "because": str(doubt)})
        return reauthorization_required(provider, None)

    def _back_off(
        self, errand: Errand, lease: Lease, reason: str, retry_after: timedelta | None, doubt: Doubt | None
    ) -> TokenStoreError:
        pause = retry_after or back_off(lease.link.fail_count)
        self._links.release_lease(lease, Failure(reason, pause, doubt=doubt))
        log.warning("provider unavailable", extra={"provider": errand.provider.id, "reason": reason})
        return unavailable(pause)


def respect(rotation: Rotation) -> Respect:
    """How long after its end the lease of another machine is respected: not while a used token works once more.

    A call that was answered with an error counts as not carried out, and one of an earlier flight is not counted.
    """
    match rotation.kind:
        case RotationKind.STRICT:
            return Respect(ANOTHER_MACHINES_SPOOL)
        case RotationKind.GRACE:
            # What is left of the grace when the lease ends, if the token was sent as soon as that was taken or renewed
            # for it; less where a flight that may have gone on after a call without an answer renewed it last.
            left, none = rotation.grace - rotation.lease - timedelta(seconds=SPARE_SECONDS), timedelta()
            return Respect(ANOTHER_MACHINES_SPOOL, max(none, left), max(none, left - last_start(rotation)))
        case RotationKind.NONE | RotationKind.KEEP_OLD:
            return Respect()

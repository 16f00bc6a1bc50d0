"""What a provider gave is kept: first in the spool, then behind the fence in the database, whatever that takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from tokenstore.core.metrics import Metrics
from tokenstore.core.model import AccessToken, Asked, AuditEvent, Lease, Link, Provider, TokenSet
from tokenstore.core.ports import Base, Failure, LinkStore
from tokenstore.core.refresh.errand import Errand, Timing
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.spool import Spooled, SpoolPlace, Whose
from tokenstore.errors import StorageUnavailable, TokenStoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

REFRESHED = AuditEvent("token.refresh", "success")

SAVE_FOR_SECONDS = 60.0
"""How long an answer is offered to a database that does not take it; then it stays in the spool."""

YOUNG = timedelta(minutes=1)
"""Of a replayed answer that seems older than this the refresh token alone is taken: its age goes by the clock of a
machine, which may have been set meanwhile."""


class Superseded(Exception):
    """The link moved meanwhile; what was received has found its place. Look again."""


class Keeping:
    """Saves answers. A place in the spool is given back only when the database has what it holds."""

    def __init__(self, links: LinkStore, revoker: Revoker, metrics: Metrics, timing: Timing) -> None:
        self._links = links
        self._revoker = revoker
        self._metrics = metrics
        self._timing = timing

    def save(self, errand: Errand, lease: Lease, tokens: TokenSet, sent: float, place: SpoolPlace) -> AccessToken:
        """The token set into spool and database; `sent`: when its request was sent, monotonic.

        Raises Superseded, StorageUnavailable when the database takes nothing, and whatever else the database says of
        this answer; in both cases the answer stays in the spool, if it brought a refresh token.
        """
        if is_news(tokens.refresh_token, lease):
            self._into_spool(place, self._spooled(errand, lease, tokens, sent))
        event = errand.about(REFRESHED)

        def save() -> AccessToken | None:
            received = self._with_kept(errand, tokens)
            return self._links.save_refreshed(lease, errand.provider, received, errand.asked, self._since(sent), event)

        token = self._insist(lease, save, StorageUnavailable)
        if token is None:
            self._superseded(errand, lease, tokens)
        place.forget()
        if token is None:
            raise Superseded
        return token

    def save_rotation(
        self, errand: Errand, lease: Lease, refresh_token: Secret, sent: float, failure: Failure, place: SpoolPlace
    ) -> None:
        """Keep a refresh token that came in an otherwise useless answer. Raises as `save` does."""
        alone = TokenSet(access_token=refresh_token, refresh_token=refresh_token)
        if is_news(refresh_token, lease):
            self._into_spool(place, replace(self._spooled(errand, lease, alone, sent), rotation_only=True))

        def save() -> bool:
            return self._links.save_rotation(lease, errand.provider, refresh_token, self._since(sent), failure)

        saved = self._insist(lease, save)
        if not saved:
            self._superseded(errand, lease, alone)
        place.forget()
        if not saved:
            raise Superseded

    def replay(self, errand: Errand, base: Base, spooled: Spooled) -> None:
        """Put what was found in the spool into the database, where the link is at `base`.

        Everything is tried once; where the database does not take the answer whole, its refresh token alone, as in
        `save`. Raises StorageUnavailable, KeyUnavailable, and whatever else the database says of that, too.
        """
        try:
            self._replay(errand, base, spooled)
        except TokenStoreError:
            raise
        except Exception:
            if spooled.rotation_only or spooled.tokens.refresh_token is None:
                raise
            log.exception("an answer in the spool cannot be saved whole", extra={"link": str(base.link.id)})
            self._replay(errand, base, replace(spooled, rotation_only=True))

    def replay_unowned(self, provider: Provider, spooled: Spooled, whose: Whose) -> None:
        """The same where the link's row is gone: what was received is owed to the provider.

        Raises StorageUnavailable, KeyUnavailable.
        """
        token = spooled.tokens.refresh_token or spooled.tokens.access_token
        self._revoker.owe(replace(provider, client_id=whose.client_id), whose.owner, token, whose.account)

    def _replay(self, errand: Errand, base: Base, spooled: Spooled) -> None:
        if not self._saved_again(errand, base, spooled):
            held = replace(base.link, version=spooled.version)
            self._settle(held, self._links.settle_superseded(held, errand.provider, spooled.tokens))

    def _saved_again(self, errand: Errand, base: Base, spooled: Spooled) -> bool:
        """Save behind the fence; False if it was missed: the link has moved on since, or is gone."""
        if base.link.version != spooled.version:
            return False
        tokens, elapsed = spooled.tokens, self._timing.now() - spooled.sent_at
        age = max(timedelta(), elapsed)
        # Of a broken link the refused token may be erased by now. None is older than the one that was received.
        before = base.refresh_token or tokens.refresh_token or Secret("")
        lease = Lease(base.link, "", spooled.version, before, None)
        if tokens.refresh_token is not None and (spooled.rotation_only or not timedelta() <= elapsed < YOUNG):
            pause = timedelta(seconds=5) if spooled.rotation_only else timedelta()
            failure = Failure("interrupted", pause, counts=spooled.rotation_only)
            return self._links.save_rotation(lease, errand.provider, tokens.refresh_token, age, failure)
        received = self._with_kept(errand, tokens)
        event = replace(errand.about(REFRESHED), reason="spool")
        saved = self._links.save_refreshed(lease, errand.provider, received, spooled.asked, age, event)
        return saved is not None

    def _superseded(self, errand: Errand, lease: Lease, tokens: TokenSet) -> None:
        """Tokens that missed the fence: kept, or revoked."""
        owed = self._insist(lease, lambda: self._links.settle_superseded(lease.link, errand.provider, tokens))
        self._settle(lease.link, owed)

    def _settle(self, link: Link, owed: UUID | None) -> None:
        self._metrics.fence_missed(link.provider_id)
        if owed is not None:
            self._revoker.settle(owed)

    def _into_spool(self, place: SpoolPlace, spooled: Spooled) -> None:
        try:
            place.keep(spooled)
        except TokenStoreError as error:
            # The room was reserved, so this is a disk that fails: the database is the better hope.
            log.critical("an answer could not be spooled", extra={"link": str(spooled.link_id), "because": error.debug})

    def _spooled(self, errand: Errand, lease: Lease, tokens: TokenSet, sent: float) -> Spooled:
        sent_at = self._timing.now() - self._since(sent)
        held = lease.link
        whose = Whose(held.provider_id, held.client_id, errand.caller.identity, held.account)
        return Spooled(held.id, lease.version, errand.asked, tokens, sent_at, whose=whose)

    def _since(self, sent: float) -> timedelta:
        return timedelta(seconds=self._timing.monotonic() - sent)

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
        """Offer what a provider gave to a database that does not take it, again and again.

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


def is_news(refresh_token: Secret | None, lease: Lease) -> bool:
    """Whether losing this answer would lose a refresh token."""
    return refresh_token is not None and refresh_token != lease.refresh_token

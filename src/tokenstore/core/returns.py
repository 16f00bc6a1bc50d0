"""Choosing where a browser goes back to, and noting when somebody asked for an address that is not allowed."""

from __future__ import annotations

from tokenstore.core.model import AuditEvent, Caller, Origin
from tokenstore.core.ports import AuditLog
from tokenstore.core.redirects import Choice, ReturnUrlPolicy


class ReturnUrls:
    """The return-URL policy with its audit. The refused text is neither repeated nor kept."""

    def __init__(self, policy: ReturnUrlPolicy, audit: AuditLog) -> None:
        self._policy = policy
        self._audit = audit

    @property
    def landing(self) -> str:
        """The default landing page."""
        return self._policy.landing

    def allows(self, candidate: str) -> bool:
        """As `ReturnUrlPolicy.allows`."""
        return self._policy.allows(candidate)

    def choose(
        self,
        candidate: str | None,
        referer: str | None = None,
        caller: Caller | None = None,
        origin: Origin | None = None,
    ) -> Choice:
        """As `ReturnUrlPolicy.choose`; a refused `candidate` is audited, a foreign Referer is not: it is everyday.

        `origin`: where the request came from, if no caller is known. Raises StorageUnavailable.
        """
        choice = self._policy.choose(candidate, referer)
        if choice.refused and candidate is not None:
            user = caller.identity if caller else None
            self._audit.record(AuditEvent("return.refused", "failure", caller, user, origin=origin))
        return choice

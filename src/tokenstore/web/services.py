"""The services that views call, as one value made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.core.choices import ChoiceService
from tokenstore.core.completing import CompletionService
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.linking import LinkingService
from tokenstore.core.overview import OverviewService
from tokenstore.core.registry import Registry
from tokenstore.core.returns import ReturnUrls
from tokenstore.core.sessions import SessionService
from tokenstore.core.tokens import TokenService
from tokenstore.core.unlinking import UnlinkingService
from tokenstore.web.csrf import Csrf
from tokenstore.web.urls import PublicUrl

SHOW_NOTICES = ("/", "/sessions")
"""The pages that show what was flashed."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view may use."""

    public_url: PublicUrl
    registry: Registry
    tokens: TokenService
    linking: LinkingService
    completing: CompletionService
    unlinking: UnlinkingService
    confirmations: ConfirmationService
    choices: ChoiceService
    overview: OverviewService
    sessions: SessionService
    returns: ReturnUrls
    csrf: Csrf

    def shows_notices(self, return_url: str) -> bool:
        """Whether this is one of our pages that show what was flashed, in whatever spelling and with any query."""
        address = return_url.partition("#")[0].partition("?")[0]
        return address.removeprefix(self.public_url.origin) in {self.public_url.path + page for page in SHOW_NOTICES}

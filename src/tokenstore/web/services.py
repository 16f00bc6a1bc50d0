"""The services that views call, as one value made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from tokenstore.core.choices import ChoiceService
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.linking import LinkingService
from tokenstore.core.overview import OverviewService
from tokenstore.core.registry import Registry
from tokenstore.core.returns import ReturnUrls
from tokenstore.core.sessions import SessionService
from tokenstore.core.tokens import TokenService
from tokenstore.web.csrf import Csrf
from tokenstore.web.urls import PublicUrl


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view may use."""

    public_url: PublicUrl
    registry: Registry
    tokens: TokenService
    linking: LinkingService
    confirmations: ConfirmationService
    choices: ChoiceService
    overview: OverviewService
    sessions: SessionService
    returns: ReturnUrls
    csrf: Csrf

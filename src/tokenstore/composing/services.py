"""The services that views call."""

from __future__ import annotations

from tokenstore.composing.adapters import Adapters
from tokenstore.composing.providers import Providers
from tokenstore.composing.shared import Shared
from tokenstore.config import Loaded
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.choices import ChoiceService
from tokenstore.core.completing import CompletionService
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.linking import LinkingService
from tokenstore.core.login import LoginService
from tokenstore.core.metrics import Metrics
from tokenstore.core.overview import OverviewService
from tokenstore.core.policy import Policy
from tokenstore.core.redirects import ReturnUrlPolicy
from tokenstore.core.returns import ReturnUrls
from tokenstore.core.sessions import SessionService
from tokenstore.core.tokens import TokenFlights, TokenService
from tokenstore.core.unlinking import UnlinkingService
from tokenstore.vault.vault import Label
from tokenstore.web.csrf import Csrf
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl

NO_PAGES = ("/static", "/healthz", "/readyz", "/metrics")
"""Routes of ours that are no pages, so that no browser is sent back to them (besides /api)."""


def make_services(
    loaded: Loaded, public_url: PublicUrl, adapters: Adapters, providers: Providers, shared: Shared, metrics: Metrics
) -> Services:
    """What the views of the API and the pages call."""
    settings, client, registry = loaded.settings, providers.client, shared.registry
    policy = Policy(settings.oidc_required_scope or None)
    return_urls = ReturnUrlPolicy(public_url.origin, public_url.path, settings.return_url_origins, NO_PAGES)
    return Services(
        public_url=public_url,
        registry=registry,
        tokens=TokenService(
            registry=registry,
            policy=policy,
            links=adapters.links,
            refresher=shared.refresher,
            flights=TokenFlights(metrics, providers.places),
            gate=providers.gate,
            usage=shared.usage,
            metrics=metrics,
            wait_seconds=float(settings.wait_seconds),
        ),
        linking=LinkingService(registry, policy, adapters.links, Attempts(adapters.attempts, client, providers.places)),
        completing=CompletionService(
            registry=registry,
            users=adapters.users,
            check=CallbackCheck(adapters.attempts, client),
            client=client,
            audit=adapters.audit,
            revoker=shared.revoker,
            facts=adapters.facts,
            attacher=shared.attacher,
            asker=shared.asker,
            places=providers.places,
        ),
        unlinking=UnlinkingService(registry, policy, adapters.links, shared.revoker),
        confirmations=ConfirmationService(
            registry=registry,
            policy=policy,
            users=adapters.users,
            waiting=adapters.waiting,
            attacher=shared.attacher,
            asker=shared.asker,
        ),
        choices=ChoiceService(policy, adapters.links),
        overview=OverviewService(registry, policy, adapters.links, providers.gate, adapters.quarantines),
        sessions=SessionService(policy, adapters.logins, providers.callers.verify_logout),
        returns=ReturnUrls(return_urls, adapters.audit),
        csrf=Csrf(public_url, settings.cors_origins, lambda sid: adapters.vault.lookup(Label.CSRF, sid)),
    )


def make_login(loaded: Loaded, adapters: Adapters, providers: Providers) -> LoginService:
    """What logs people in."""
    return LoginService(
        provider=loaded.login,
        users=adapters.users,
        attempts=Attempts(adapters.attempts, providers.client, providers.places),
        check=CallbackCheck(adapters.attempts, providers.client),
        client=providers.client,
        audit=adapters.audit,
        places=providers.places,
        advice="To try the store, run make demo." if loaded.settings.development else "",
    )

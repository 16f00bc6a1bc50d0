"""The composition root: settings → adapters → services → blueprints. Nothing else knows concrete classes."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask

from tokenstore.api import blueprint as api
from tokenstore.api import whoami
from tokenstore.config import Loaded, Settings, load
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.flight import Flights
from tokenstore.core.linking import LinkingService
from tokenstore.core.login import LoginService
from tokenstore.core.overview import OverviewService
from tokenstore.core.policy import Policy
from tokenstore.core.redirects import ReturnUrlPolicy
from tokenstore.core.refresh import Refresher
from tokenstore.core.registry import Registry
from tokenstore.core.revocation import Revoker
from tokenstore.core.secret import Secret
from tokenstore.core.tokens import TokenFlights, TokenService
from tokenstore.errors import BadCredentials
from tokenstore.extensions import init_database
from tokenstore.identity import login
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.browser import SessionScheme
from tokenstore.identity.guards import Guards
from tokenstore.identity.session_rows import SessionRows
from tokenstore.identity.sessions import init_sessions
from tokenstore.providers.accesstoken import verify_access_token
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport
from tokenstore.store.attempts import SqlAttemptStore
from tokenstore.store.audit import SqlAuditLog
from tokenstore.store.engine import Database
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.links import SqlLinkStore
from tokenstore.store.outbox import SqlOutbox
from tokenstore.store.users import SqlUserStore
from tokenstore.ui import pages
from tokenstore.vault.kek import EnvKek, parse_cryptokey
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Label, Vault
from tokenstore.web.cors import init_cors
from tokenstore.web.csrf import Csrf
from tokenstore.web.headers import init_headers
from tokenstore.web.health import health_blueprint
from tokenstore.web.logs import init_logs
from tokenstore.web.problems import init_problems
from tokenstore.web.requests import init_requests, request_id
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl

FLIGHTS = 64
"""Refreshes one process runs at once; further ones queue."""

NO_PAGES = ("/links", "/static", "/healthz", "/readyz")
"""Routes of ours that a browser is never sent back to (besides /api)."""

log = logging.getLogger(__name__)


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """The WSGI application. `config` overrides environment and settings file.

    Only parses and checks settings: neither database nor provider is spoken to, so that migrations run on an empty
    database. Raises ConfigError with every problem of the settings.
    """
    loaded = load(config)
    settings = loaded.settings
    public_url = PublicUrl.parse(settings.public_url)
    app = Flask("tokenstore", static_folder=None, template_folder=None, instance_path=settings.instance_path)
    app.config["SECRET_KEY"] = settings.secret_key.reveal()
    init_logs(settings.log_level, development=settings.development)
    for warning in loaded.warnings:
        log.warning(warning)

    adapters = make_adapters(app, loaded)
    providers = make_client(settings)
    services, login_service = make_services(loaded, public_url, adapters, providers)
    guards = make_guards(loaded, providers)

    init_requests(app, public_url, proxy_hops=settings.proxy_hops)
    init_headers(app, public_url)
    init_problems(app, public_url)
    init_cors(app, settings.cors_origins)
    init_sessions(app, adapters.sessions, adapters.vault, secure=public_url.is_https)
    services.csrf.init_app(app)
    app.register_blueprint(health_blueprint({"database": adapters.database_answers, "keys": adapters.vault.ready}))
    app.register_blueprint(login.create_blueprint(login_service, services.returns, public_url.absolute("/")))
    app.register_blueprint(whoami.create_blueprint(guards))
    app.register_blueprint(api.create_blueprint(services, guards))
    app.register_blueprint(pages.create_blueprint(services, guards))
    return app


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything that speaks to the database."""

    database: Database
    vault: Vault
    users: SqlUserStore
    links: SqlLinkStore
    attempts: SqlAttemptStore
    audit: SqlAuditLog
    outbox: SqlOutbox
    sessions: SessionRows

    def database_answers(self) -> None:
        """Raise StorageUnavailable unless the database answers."""
        self.attempts.now()


def make_adapters(app: Flask, loaded: Loaded) -> Adapters:
    """The database's adapters; nothing is opened yet."""
    settings = loaded.settings
    database = init_database(app, settings.sqlalchemy_database_uri, settings.sqlalchemy_engine_options)
    kek = EnvKek(parse_cryptokey(settings.cryptokey.reveal()))
    vault = Vault(lambda: Keyring.load(kek, SqlKeyStore(database)))
    return Adapters(
        database,
        vault,
        SqlUserStore(database),
        SqlLinkStore(database, vault),
        SqlAttemptStore(database, vault),
        SqlAuditLog(database),
        SqlOutbox(database, vault),
        SessionRows(
            database,
            idle=timedelta(seconds=settings.session_idle),
            lifetime=timedelta(seconds=settings.session_lifetime),
        ),
    )


@dataclass(frozen=True, slots=True)
class Providers:
    """The only door to providers, and the keys of the login provider behind it."""

    client: HttpProviderClient
    keys: KeySets


def make_client(settings: Settings) -> Providers:
    """The provider client with its transport; no connection is made yet."""
    policy = AddressPolicy(settings.allow_private_hosts)
    transport = Transport(policy, ca_bundle=settings.ca_bundle or None)
    discovery = Discovery(transport, policy)
    keys = KeySets(transport, discovery)
    return Providers(HttpProviderClient(transport, discovery, keys), keys)


def make_services(
    loaded: Loaded, public_url: PublicUrl, adapters: Adapters, providers: Providers
) -> tuple[Services, LoginService]:
    """The services over their adapters."""
    settings, client = loaded.settings, providers.client
    registry = Registry(loaded.providers)
    policy = Policy(settings.oidc_required_scope or None)
    attempts = Attempts(adapters.attempts, client)
    check = CallbackCheck(adapters.attempts, client)
    wait = float(settings.wait_seconds)
    refresher = Refresher(adapters.links, client, node=socket.gethostname(), wait_seconds=wait)
    flights: TokenFlights = Flights(FLIGHTS)
    tokens = TokenService(registry, policy, adapters.links, refresher, flights, wait_seconds=wait)
    linking = LinkingService(
        registry,
        policy,
        adapters.users,
        adapters.links,
        attempts,
        check,
        client,
        adapters.audit,
        adapters.outbox,
        Revoker(registry, adapters.outbox, client),
    )
    csrf = Csrf(public_url, settings.cors_origins, lambda sid: adapters.vault.lookup(Label.CSRF, sid))
    returns = ReturnUrlPolicy(public_url.origin, public_url.path, settings.return_url_origins, NO_PAGES)
    overview = OverviewService(registry, policy, adapters.links)
    login_service = LoginService(loaded.login, adapters.users, attempts, check, client, adapters.audit)
    return Services(public_url, registry, tokens, linking, overview, returns, csrf), login_service


def make_guards(loaded: Loaded, providers: Providers) -> Guards:
    """Who may come in: access tokens of the login provider, and sessions."""
    settings = loaded.settings

    def verify(token: Secret) -> Mapping[str, Any]:
        if loaded.login is None:
            raise BadCredentials("No login provider is configured, so no access token is accepted.")
        return verify_access_token(
            token,
            providers.keys.of(loaded.login),
            issuer=loaded.login.effective_issuer,
            audiences=settings.oidc_audience or (loaded.login.client_id,),
            algorithms=loaded.login.id_token_algorithms,
            now=datetime.now(UTC),
            authorized_parties=settings.oidc_authorized_parties,
        )

    bearer = BearerScheme(verify, settings.oidc_roles_claim)
    return Guards(bearer, SessionScheme(settings.oidc_roles_claim), request_id)

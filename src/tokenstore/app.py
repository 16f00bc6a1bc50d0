"""The composition root: settings → adapters → services → blueprints. Nothing else knows concrete classes."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask

from tokenstore.api import blueprint as api
from tokenstore.api import document, whoami
from tokenstore.config import Loaded, Settings, load
from tokenstore.core.attempts import Attempts
from tokenstore.core.callback import CallbackCheck
from tokenstore.core.choices import ChoiceService
from tokenstore.core.confirming import ConfirmationService
from tokenstore.core.flight import Flights
from tokenstore.core.linking import LinkingService
from tokenstore.core.login import LoginService
from tokenstore.core.metrics import Metrics
from tokenstore.core.overview import OverviewService
from tokenstore.core.policy import Policy
from tokenstore.core.ports import ProviderClient
from tokenstore.core.redirects import ReturnUrlPolicy
from tokenstore.core.refresh import Refresher
from tokenstore.core.registry import Registry
from tokenstore.core.returns import ReturnUrls
from tokenstore.core.revocation import Revoker
from tokenstore.core.sessions import SessionService
from tokenstore.core.tokens import TokenFlights, TokenService
from tokenstore.extensions import VERSION_TABLE, init_database, migrations_directory
from tokenstore.identity import login
from tokenstore.identity.bearer import BearerScheme
from tokenstore.identity.browser import SessionScheme
from tokenstore.identity.disabled import DisabledUsers
from tokenstore.identity.guards import Guards, Scheme
from tokenstore.identity.session_rows import SessionRows
from tokenstore.identity.session_store import SessionStore
from tokenstore.identity.sessions import init_sessions
from tokenstore.identity.userinfo import KINDS, ApiKeyScheme, BasicScheme, function_of
from tokenstore.providers.addresses import AddressPolicy
from tokenstore.providers.callertokens import CallerTokens
from tokenstore.providers.client import HttpProviderClient
from tokenstore.providers.counted import CountedClient
from tokenstore.providers.discovery import Discovery
from tokenstore.providers.jwks import KeySets
from tokenstore.providers.transport import Transport
from tokenstore.store.attempts import SqlAttemptStore
from tokenstore.store.audit import SqlAuditLog
from tokenstore.store.engine import Database
from tokenstore.store.keys import SqlKeyStore
from tokenstore.store.links import SqlLinkStore
from tokenstore.store.logins import SqlLoginStore
from tokenstore.store.outbox import SqlOutbox
from tokenstore.store.provider_facts import SqlProviderFacts
from tokenstore.store.schema import Schema
from tokenstore.store.user_admin import UserAdmin
from tokenstore.store.users import SqlUserStore
from tokenstore.store.waiting import SqlWaitingStore
from tokenstore.ui import documentation, pages
from tokenstore.vault.kek import EnvKek, parse_cryptokey
from tokenstore.vault.keyring import Keyring
from tokenstore.vault.vault import Label, Vault
from tokenstore.web.cors import init_cors
from tokenstore.web.counters import Counters
from tokenstore.web.csrf import Csrf
from tokenstore.web.documentation import ApiLogin
from tokenstore.web.headers import init_headers
from tokenstore.web.health import health_blueprint
from tokenstore.web.logs import init_logs
from tokenstore.web.metrics import init_metrics
from tokenstore.web.problems import init_problems
from tokenstore.web.requests import init_requests, request_id
from tokenstore.web.services import Services
from tokenstore.web.urls import PublicUrl

FLIGHTS = 64
"""Refreshes one process runs at once; further ones queue."""

NO_PAGES = ("/static", "/healthz", "/readyz", "/metrics")
"""Routes of ours that are no pages, so that no browser is sent back to them (besides /api)."""

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

    counters = Counters()
    adapters = make_adapters(app, loaded)
    providers = make_providers(loaded, counters)
    services, login_service = make_services(loaded, public_url, adapters, providers, counters)
    guards = make_guards(loaded, public_url, adapters, providers)

    init_requests(app, public_url, proxy_hops=settings.proxy_hops)
    init_headers(app, public_url)
    init_metrics(app, counters, settings.metrics_token)
    init_problems(app, public_url, legacy_status_codes=settings.legacy_status_codes)
    init_cors(app, settings.cors_origins)
    init_sessions(app, adapters.sessions, adapters.vault, secure=public_url.is_https)
    services.csrf.init_app(app)
    app.register_blueprint(health_blueprint({"database": adapters.schema.require, "keys": adapters.vault.ready}))
    landing_url = public_url.absolute("/")
    logins = login.create_blueprint(login_service, services.sessions, services.returns, guards, landing_url)
    app.register_blueprint(logins)
    app.register_blueprint(whoami.create_blueprint(guards))
    app.register_blueprint(api.create_blueprint(services, guards))
    app.register_blueprint(pages.create_blueprint(services, guards))
    api_login = make_api_login(loaded, providers)
    described = document.create_blueprint(
        public_url, api_login, settings.userinfo_map.keys(), legacy=settings.legacy_status_codes
    )
    app.register_blueprint(described)
    app.register_blueprint(documentation.create_blueprint(public_url, api_login))
    return app


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything that speaks to the database, and where sessions are kept."""

    database: Database
    vault: Vault
    users: SqlUserStore
    links: SqlLinkStore
    attempts: SqlAttemptStore
    waiting: SqlWaitingStore
    audit: SqlAuditLog
    outbox: SqlOutbox
    facts: SqlProviderFacts
    sessions: SessionStore
    logins: SqlLoginStore
    people: UserAdmin
    schema: Schema


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
        SqlWaitingStore(database, vault),
        SqlAuditLog(database),
        SqlOutbox(database, vault),
        SqlProviderFacts(database),
        make_sessions(settings, database),
        SqlLoginStore(
            database,
            idle=timedelta(seconds=settings.session_idle),
            lifetime=timedelta(seconds=settings.session_lifetime),
        ),
        UserAdmin(database),
        Schema(database, migrations_directory(), VERSION_TABLE),
    )


def make_sessions(settings: Settings, database: Database) -> SessionStore:
    """Where browser sessions are kept; nothing is opened yet."""
    idle, lifetime = timedelta(seconds=settings.session_idle), timedelta(seconds=settings.session_lifetime)
    if settings.session_type != "redis":
        return SessionRows(database, idle=idle, lifetime=lifetime)
    # Here, because the library is there only with the extra [redis].
    from tokenstore.identity.session_redis import RedisSessions

    return RedisSessions(settings.session_redis, idle=idle, lifetime=lifetime)


@dataclass(frozen=True, slots=True)
class Providers:
    """The only door to providers, and what callers' tokens are verified with behind it."""

    client: ProviderClient
    callers: CallerTokens
    discovery: Discovery


def make_providers(loaded: Loaded, metrics: Metrics) -> Providers:
    """The provider client with its transport; no connection is made yet."""
    settings = loaded.settings
    policy = AddressPolicy(settings.allow_private_hosts)
    transport = Transport(policy, ca_bundle=settings.ca_bundle or None)
    discovery = Discovery(transport, policy)
    keys = KeySets(transport, discovery)
    callers = CallerTokens(
        loaded.login,
        transport,
        discovery,
        keys,
        audiences=settings.oidc_audience,
        authorized_parties=settings.oidc_authorized_parties,
        introspect=settings.oidc_introspection,
    )
    client = CountedClient(HttpProviderClient(transport, discovery, keys), metrics)
    return Providers(client, callers, discovery)


def make_api_login(loaded: Loaded, providers: Providers) -> ApiLogin | None:
    """With whom the documentation page gets tokens, if it does."""
    settings, provider = loaded.settings, loaded.login
    if provider is None or not settings.oidc_swagger_client_id:
        return None
    scopes = ("openid", *filter(None, [settings.oidc_required_scope]))
    return ApiLogin(settings.oidc_swagger_client_id, scopes, lambda: providers.discovery.metadata(provider).endpoints)


def make_services(
    loaded: Loaded, public_url: PublicUrl, adapters: Adapters, providers: Providers, metrics: Metrics
) -> tuple[Services, LoginService]:
    """The services over their adapters."""
    settings, client = loaded.settings, providers.client
    registry = Registry(loaded.providers)
    policy = Policy(settings.oidc_required_scope or None)
    attempts = Attempts(adapters.attempts, client)
    check = CallbackCheck(adapters.attempts, client)
    wait = float(settings.wait_seconds)
    revoker = Revoker(registry, adapters.outbox, client)
    node = socket.gethostname()
    refresher = Refresher(adapters.links, client, adapters.facts, revoker, metrics, node=node, wait_seconds=wait)
    flights: TokenFlights = Flights(FLIGHTS)
    tokens = TokenService(registry, policy, adapters.links, refresher, flights, metrics, wait_seconds=wait)
    confirmations = ConfirmationService(
        registry, policy, adapters.users, adapters.links, adapters.waiting, adapters.audit, revoker
    )
    linking = LinkingService(
        registry,
        policy,
        adapters.users,
        adapters.links,
        attempts,
        check,
        client,
        adapters.audit,
        revoker,
        adapters.facts,
        confirmations,
    )
    csrf = Csrf(public_url, settings.cors_origins, lambda sid: adapters.vault.lookup(Label.CSRF, sid))
    returns = ReturnUrls(
        ReturnUrlPolicy(public_url.origin, public_url.path, settings.return_url_origins, NO_PAGES), adapters.audit
    )
    overview = OverviewService(registry, policy, adapters.links)
    advice = "To try the store, run make demo." if settings.development else ""
    login_service = LoginService(loaded.login, adapters.users, attempts, check, client, adapters.audit, advice)
    sessions = SessionService(policy, adapters.logins, providers.callers.verify_logout)
    choices = ChoiceService(policy, adapters.links)
    services = Services(
        public_url, registry, tokens, linking, confirmations, choices, overview, sessions, returns, csrf
    )
    return services, login_service


def make_guards(loaded: Loaded, public_url: PublicUrl, adapters: Adapters, providers: Providers) -> Guards:
    """Who may come in: programs with a token, key or password, and browsers with a session."""
    settings = loaded.settings
    issuer = loaded.login.effective_issuer if loaded.login else public_url.origin
    functions = {kind: function_of(value) for kind, value in settings.userinfo_map.items() if kind in KINDS}
    programs: list[Scheme] = [
        BearerScheme(providers.callers.verify, settings.oidc_roles_claim),
        ApiKeyScheme(functions.get("apikey-v1"), issuer),
    ]
    if "basic" in functions:
        programs.insert(0, BasicScheme(functions["basic"], issuer))
    session = SessionScheme(settings.oidc_roles_claim, adapters.logins)
    return Guards(programs, session, request_id, DisabledUsers(adapters.people.disabled))

"""The composition root: settings → adapters → services → blueprints. Nothing else knows concrete classes.

How each layer is made: `composing`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flask import Flask

from tokenstore.api import blueprint as api
from tokenstore.api import document, whoami
from tokenstore.api.hot_tokens import init_hot_tokens
from tokenstore.composing.adapters import AdaptersOf, make_adapters
from tokenstore.composing.callers import make_api_login, make_guards
from tokenstore.composing.operations import make_operations
from tokenstore.composing.providers import ProvidersOf, make_providers
from tokenstore.composing.services import make_login, make_services
from tokenstore.composing.shared import make_shared
from tokenstore.config import Loaded, load
from tokenstore.identity import login
from tokenstore.identity.sessions import init_sessions
from tokenstore.keeper.operations import Operations
from tokenstore.keeper.process import begin_with_requests
from tokenstore.ui import documentation, pages
from tokenstore.web.cors import init_cors
from tokenstore.web.counters import Counters
from tokenstore.web.headers import init_headers
from tokenstore.web.health import health_blueprint
from tokenstore.web.logs import init_logs
from tokenstore.web.metrics import init_metrics
from tokenstore.web.problems import init_problems
from tokenstore.web.requests import init_requests
from tokenstore.web.urls import PublicUrl

log = logging.getLogger(__name__)


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """The WSGI application. `config` overrides environment and settings file.

    Only parses and checks settings: neither database nor provider is spoken to, so that migrations run on an empty
    database. Raises ConfigError with every problem of the settings.
    """
    app = assemble(load(config), make_adapters, make_providers)
    begin_with_requests(app, Operations.of(app).keeper)
    return app


def assemble(loaded: Loaded, adapters_of: AdaptersOf, providers_of: ProvidersOf) -> Flask:
    """The application over what these two make: `create_app`'s own, or something around it.

    Its keeper does not begin by itself.
    """
    settings = loaded.settings
    public_url = PublicUrl.parse(settings.public_url)
    app = Flask("tokenstore", static_folder=None, template_folder=None, instance_path=settings.instance_path)
    app.config["SECRET_KEY"] = settings.secret_key.reveal()
    init_logs(settings.log_level, development=settings.development)
    for warning in loaded.warnings:
        log.warning(warning)

    counters = Counters()
    adapters = adapters_of(app, loaded)
    providers = providers_of(loaded, counters)
    shared = make_shared(loaded, adapters, providers, counters)
    services = make_services(loaded, public_url, adapters, providers, shared, counters)
    guards, programs = make_guards(loaded, public_url, adapters, providers)

    init_hot_tokens(app, services.tokens, programs)
    init_requests(app, public_url, proxy_hops=settings.proxy_hops)
    init_headers(app, public_url)
    init_metrics(app, counters, settings.metrics_token)
    init_problems(app, public_url, legacy_status_codes=settings.legacy_status_codes)
    init_cors(app, settings.cors_origins)
    init_sessions(app, adapters.sessions, adapters.vault, secure=public_url.is_https)
    services.csrf.init_app(app)
    make_operations(settings, adapters, providers, shared, counters).keep_in(app)

    checks = {"database": adapters.schema.require, "keys": adapters.vault.ready, "spool": adapters.spool.ready}
    login_service, api_login = make_login(loaded, adapters, providers), make_api_login(loaded, providers)
    legacy, kinds = settings.legacy_status_codes, settings.userinfo_map.keys()
    landing_url = public_url.absolute("/")
    for blueprint in (
        health_blueprint(checks),
        login.create_blueprint(login_service, services.sessions, services.returns, guards, landing_url),
        whoami.create_blueprint(guards),
        api.create_blueprint(services, guards),
        pages.create_blueprint(services, guards),
        document.create_blueprint(public_url, api_login, kinds, legacy=legacy),
        documentation.create_blueprint(public_url, api_login),
    ):
        app.register_blueprint(blueprint)
    return app

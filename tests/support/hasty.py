"""The store with breakers whose time passes faster: a composition root of the tests'.

`support.hasty:create_app()` is what Gunicorn serves in tests that would else have to wait for a probe.
"""

from __future__ import annotations

import time

from flask import Flask

from tokenstore.app import assemble
from tokenstore.composing.adapters import make_adapters
from tokenstore.composing.providers import Providers, make_providers
from tokenstore.config import Loaded, load
from tokenstore.core.metrics import Metrics

FACTOR = 5


def create_app() -> Flask:
    """The application; settings from the environment."""

    def providers_of(loaded: Loaded, metrics: Metrics) -> Providers:
        return make_providers(loaded, metrics, lambda: FACTOR * time.monotonic())

    return assemble(load(), make_adapters, providers_of)

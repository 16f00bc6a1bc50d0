"""The store in this process: the real application behind a threaded server on loopback, quick to start."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import flask_migrate
import pytest
from flask import Flask
from typing_extensions import override
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from demo.address import HOST, Address
from support.patience import Patience
from tokenstore.app import assemble
from tokenstore.composing.adapters import make_adapters
from tokenstore.config import load


class _Handler(WSGIRequestHandler):
    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: request lines hold codes."""


@contextmanager
def serving_locally(
    address: Address, settings: Mapping[str, object], patience: Patience | None = None
) -> Iterator[Flask]:
    """The application, serving at the address, its database migrated. Takes the address over."""
    app = make_app(settings, patience)
    with app.app_context():
        flask_migrate.upgrade()
    server = ThreadedWSGIServer(HOST, address.port, app, _Handler, fd=address.fileno())
    server.daemon_threads = True
    address.close()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="store", daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()


def make_app(settings: Mapping[str, object], patience: Patience | None = None) -> Flask:
    """The application of these settings alone, whatever the environment says; its keeper does not begin by itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TOKENSTORE_")]:
            patch.delenv(name)
        return assemble(load(settings), make_adapters, (patience or Patience()).providers_of)

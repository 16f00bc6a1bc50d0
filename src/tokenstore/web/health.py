"""Whether the process lives and whether it can serve. Opens no session, asks for no credentials, calls no provider."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify

from tokenstore.errors import TokenStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Response

_log = logging.getLogger(__name__)


def health_blueprint(checks: Mapping[str, Callable[[], None]]) -> Blueprint:
    """`/healthz` answers while the process lives; `/readyz` and `/api/_health` when every check passes.

    A check returns, or raises TokenStoreError; the answer names the checks that failed and nothing more.
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def live() -> Response:
        return jsonify(alive=True)

    @blueprint.get("/readyz")
    @blueprint.get("/api/_health")
    def ready() -> tuple[Response, int]:
        failed = [name for name, check in checks.items() if not _passes(name, check)]
        if failed:
            return jsonify(ready=False, failed=failed), 503
        return jsonify(ready=True), 200

    return blueprint


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except TokenStoreError as error:
        _log.warning("not ready", extra={"check": name, "slug": error.slug, "debug": error.debug})
        return False
    return True

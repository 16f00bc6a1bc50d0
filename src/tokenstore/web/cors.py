"""Which foreign origins may read API answers in a browser: those of CORS_ORIGINS, spelled exactly so, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask_cors import CORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

_DATA_ROUTES = (re.compile(r"/api/v1\.0/.*\Z"), re.compile(r"/api/whoami\Z"))


def init_cors(app: Flask, origins: Sequence[str]) -> None:
    """Allows the origins on API data routes, with credentials. None: no CORS header on any response.

    The origins have passed the settings' grammar: full origins without wildcard, pattern or trailing slash.
    """
    if not origins:
        return
    CORS(
        app,
        # Flask-Cors folds the case of literal origins and takes one with brackets for a pattern.
        origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins],
        resources=list(_DATA_ROUTES),
        methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "X-CSRF-Token"],
        expose_headers=["Location", "Retry-After", "WWW-Authenticate", "X-Request-Id", "X-Upstream-Revocation"],
        supports_credentials=True,
        allow_private_network=False,
        always_send=False,
        intercept_exceptions=False,
        max_age=600,
    )

"""Whether a browser's GET is a person's own step from a page that may lead here (Fetch Metadata request headers)."""

from __future__ import annotations

from flask import request

from tokenstore.core.redirects import ReturnUrlPolicy


def is_wanted_navigation(returns: ReturnUrlPolicy) -> bool:
    """Whether the current request is a top-level navigation that no foreign site caused.

    A request from another site counts only if its Referer lies on an allowed return origin; HEAD, prefetch, frames and
    fetches never count. A browser that sends no such headers is believed unless its Referer is foreign.
    """
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return False
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return False
    if request.headers.get("Sec-Fetch-Dest", "document") != "document":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    referer = request.headers.get("Referer")
    if site in ("same-origin", "none") or (site is None and referer is None):
        return True
    return referer is not None and returns.allows(referer)

"""Whether a browser's GET is a person's own step (Fetch Metadata request headers), and what it brings back."""

from __future__ import annotations

from flask import request

from tokenstore.core.model import Callback
from tokenstore.core.returns import ReturnUrls
from tokenstore.errors import InvalidRequest, MethodNotAllowed


def is_navigation() -> bool:
    """Whether the current request is a page being opened: no HEAD, prefetch, frame, image or fetch.

    A browser that sends no Fetch Metadata is believed.
    """
    return (
        request.method == "GET"
        and "prefetch" not in request.headers.get("Sec-Purpose", "")
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def require_navigation() -> None:
    """For addresses that use something up: raise MethodNotAllowed or InvalidRequest unless a page is being opened."""
    if request.method != "GET":
        raise MethodNotAllowed("This address is for browsers to open.")
    if not is_navigation():
        raise InvalidRequest("This address is for browsers to open as a page.")


def callback_of_request() -> Callback:
    """The query of the current request, repetitions kept."""
    return Callback({name: tuple(request.args.getlist(name)) for name in request.args})


def is_wanted_navigation(returns: ReturnUrls) -> bool:
    """Whether the current request is a page being opened, and no foreign site caused it.

    A request from another site counts only if its Referer lies on an allowed return origin. A browser that sends no
    Fetch Metadata is believed unless its Referer is foreign.
    """
    if not is_navigation():
        return False
    site, referer = request.headers.get("Sec-Fetch-Site"), request.headers.get("Referer")
    if site in ("same-origin", "none") or (site is None and referer is None):
        return True
    return referer is not None and returns.allows(referer)

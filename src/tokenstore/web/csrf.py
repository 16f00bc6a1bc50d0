"""Proof that an unsafe request with a session comes from our own page, or from an origin the operator trusts.

Looks at `Origin` first, at a token bound to the session where there is no `Origin`, and lets `Sec-Fetch-Site` object
to either. Requests without a session (bearer, anonymous) have nothing to forge, but browsers send `Authorization:
Basic` by themselves once the person has given it, so there `Sec-Fetch-Site` is looked at, too.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from flask import Flask, request, session

from tokenstore.errors import CsrfFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstore.web.urls import PublicUrl

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# What browsers put into Sec-Fetch-Site; "none" is the person's own doing, None an old browser or no browser.
_OWN = (None, "same-origin", "none")
_FOREIGN = (None, "same-site", "cross-site")


class Csrf:
    """The checks and the token: `trusted_origins` are CORS_ORIGINS, `sign` is a keyed hash of a session id."""

    def __init__(self, public_url: PublicUrl, trusted_origins: Iterable[str], sign: Callable[[str], bytes]) -> None:
        self._public_url = public_url
        self._trusted = frozenset(trusted_origins)
        self._sign = sign

    def init_app(self, app: Flask) -> None:
        """Checks every unsafe request before its view and gives templates `csrf_token()`."""
        app.before_request(self.check)
        app.context_processor(lambda: {FIELD: self.token})

    def token(self) -> str:
        """The token of the current session, for the form field or the header; empty where there is no session."""
        return self._sign(_session_id()).hex() if session else ""

    def check(self) -> None:
        """Raises CsrfFailed unless the current request is safe, proven, or without what browsers send by themselves."""
        if request.method in _SAFE_METHODS or (self._is_proven() if session else not self._is_sent_for_another_site()):
            return
        raise CsrfFailed(
            f"The request did not come from a page of ours. Open {self._public_url.absolute('/')} and try again.",
            debug=_where_from(),
        )

    def refuse_cross_site_get(self) -> None:
        """For reads that hand out secrets to a session: raises CsrfFailed if another site made the browser ask.

        Call it only for callers known by session. Trusted origins may ask by a CORS request.
        """
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin in self._trusted and site in _FOREIGN:
            return
        if origin in (None, self._public_url.origin) and site in _OWN:
            return
        raise CsrfFailed("Another site may not ask for this with your session.", debug=_where_from())

    def _is_proven(self) -> bool:
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin is None:
            return site in _OWN and self._has_token()
        if origin == self._public_url.origin:
            return site in _OWN
        return origin in self._trusted and site in _FOREIGN

    def _is_sent_for_another_site(self) -> bool:
        """Whether a browser was made to send a password by a site that is not trusted."""
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        foreign = request.headers.get("Sec-Fetch-Site") in ("same-site", "cross-site")
        return scheme.lower() == "basic" and foreign and request.headers.get("Origin") not in self._trusted

    def _has_token(self) -> bool:
        offered = request.headers.get(HEADER) or request.form.get(FIELD, "")
        return hmac.compare_digest(offered.encode(), self.token().encode())


def _session_id() -> str:
    """The id of the server-side session; it changes at login, and every token with it."""
    sid: str = session.sid  # type: ignore[attr-defined]  # of our session class, which web may not import
    return sid


def _where_from() -> str:
    return f"origin {request.headers.get('Origin')!r}, sec-fetch-site {request.headers.get('Sec-Fetch-Site')!r}"

"""Browser sessions on the server: Flask-Session's interface over a store of ours, sealed, and without pickle.

The cookie holds 256 random bits; the store has their keyed hash and the sealed content (strict msgpack). A session
is read when first looked at, and a row is made only when something is stored.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any, cast

import msgspec
from flask import Flask, Request, Response, current_app, session
from flask_session.base import Serializer, ServerSideSessionInterface

from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, StorageUnavailable
from tokenstore.identity.session_store import SessionRow, SessionStore
from tokenstore.identity.session_values import SID_BYTES, BrowserSession, NoSession, for_browsers, new_sid
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Label, Vault

TOUCH_EVERY = timedelta(minutes=1)
"""By how much the idle end may lag behind, so that looking at a page rarely writes."""

_SID = re.compile(r"[A-Za-z0-9_-]{43}")
# Credentials that speak for themselves: a request with one neither reads nor makes a session.
_OTHER_CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY")

_log = logging.getLogger(__name__)


class StrictMsgpack(Serializer):  # type: ignore[misc]  # Flask-Session has no types
    """A mapping with text keys as msgpack. Flask-Session's own serializer falls back to unpickling."""

    def __init__(self) -> None:
        self._decoder = msgspec.msgpack.Decoder(dict[str, Any])

    def encode(self, session: BrowserSession) -> bytes:
        """The content; raises TypeError if something in it is no plain value."""
        return msgspec.msgpack.encode(dict(session))

    def decode(self, serialized_data: bytes) -> dict[str, Any]:
        """The content; raises msgspec.DecodeError or ValidationError if it is anything else."""
        return self._decoder.decode(serialized_data)


class SealedSessions(ServerSideSessionInterface):  # type: ignore[misc]  # Flask-Session has no types
    """Flask's session interface. `secure`: the store is reached over https; only then the cookie may be `__Host-`."""

    null_session_class = NoSession

    def __init__(self, app: Flask, rows: SessionStore, vault: Vault, *, secure: bool) -> None:
        super().__init__(app, key_prefix="", permanent=False, sid_length=SID_BYTES)
        self.serializer = StrictMsgpack()
        self.cookie_name = "__Host-tokenstore" if secure else "tokenstore"
        self._secure = secure
        self._rows = rows
        self._vault = vault

    def open_session(self, app: Flask, request: Request) -> BrowserSession | None:  # noqa: ARG002  (Flask's)
        """The session of a request, not yet read; None for a request with credentials of its own."""
        if any(name in request.environ for name in _OTHER_CREDENTIALS):
            return None
        offered = request.cookies.get(self.cookie_name, "")
        return BrowserSession(offered if _SID.fullmatch(offered) else None, self._read)

    def save_session(self, app: Flask, session: BrowserSession, response: Response) -> None:
        """Store what changed; a session that became empty goes, and its cookie with it."""
        if session.accessed:
            response.vary.add("Cookie")
        if session.modified:
            # Flask comes here again to finish the error answer if writing fails.
            session.modified = False
            if session:
                self._upsert_session(app.permanent_session_lifetime, session, self._get_store_id(session.sid))
                if session.sid != session.offered:
                    self._set_cookie(response, session.sid)
            else:
                self._drop(session)
                if session.offered:
                    self._set_cookie(response, "", max_age=0)
        elif session.row and self._rows.can_be_prolonged(session.row, TOUCH_EVERY):
            self._touch(session)

    def regenerate(self, session: BrowserSession) -> None:
        """Keep the content under a new id, from now on alone: the old id is forgotten at once."""
        self._drop(session)
        session.begin_anew(new_sid())

    def _get_store_id(self, sid: str) -> str:
        return self._vault.lookup(Label.SESSION_ID, sid).hex()

    def _read(self, sid: str) -> tuple[dict[str, Any], SessionRow] | None:
        return self._retrieve_session_data(self._get_store_id(sid))

    def _retrieve_session_data(self, store_id: str) -> tuple[dict[str, Any], SessionRow] | None:
        row = self._rows.read(store_id)
        if row is None:
            return None
        try:
            # The keys are there, they made the id: what cannot be opened is no session of ours.
            plain = self._vault.open(row.sealed, _context(store_id)).reveal()
            return self.serializer.decode(plain.encode("latin-1")), row
        except (KeyUnavailable, ValueError, msgspec.DecodeError) as error:
            _log.warning("a stored session cannot be read and counts as none", extra={"reason": type(error).__name__})
            return None

    def _upsert_session(self, session_lifetime: timedelta, session: BrowserSession, store_id: str) -> None:  # noqa: ARG002
        plain = Secret(self.serializer.encode(session).decode("latin-1"))
        sealed = self._vault.seal(plain, _context(store_id))
        if session.row:
            self._rows.update(store_id, sealed)
        else:
            self._rows.insert(store_id, sealed)

    def _delete_session(self, store_id: str) -> None:
        self._rows.delete(store_id)

    def _touch(self, session: BrowserSession) -> None:
        try:
            self._rows.touch(self._get_store_id(session.sid))
        except StorageUnavailable as error:
            _log.warning("a session could not be prolonged", extra={"debug": error.debug})

    def _drop(self, session: BrowserSession) -> None:
        sid = session.sid  # reads the row if nobody has looked yet
        if session.row:
            self._delete_session(self._get_store_id(sid))

    def _set_cookie(self, response: Response, value: str, max_age: int | None = None) -> None:
        # Browsers take a __Host- cookie, and its deletion, only with exactly these attributes.
        response.set_cookie(
            self.cookie_name, value, max_age, path="/", secure=self._secure, httponly=True, samesite="Lax"
        )
        response.vary.add("Cookie")


def init_sessions(app: Flask, rows: SessionStore, vault: Vault, *, secure: bool) -> None:
    """Gives the application its sessions; nothing is read or written before a request needs it."""
    app.session_interface = SealedSessions(app, rows, vault, secure=secure)


def regenerate() -> None:
    """Give the current session a new id, as a login must, and a lifetime from now on; its content stays.

    The old id is good for nothing from this moment. Raises InvalidRequest if the request can have no session.
    """
    interface = cast(SealedSessions, current_app.session_interface)
    interface.regenerate(_current())


def destroy() -> None:
    """End the current session; what is stored later in this request begins another. Raises as `regenerate` does."""
    regenerate()
    session.clear()


def _current() -> BrowserSession:
    current = session._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  (werkzeug's documented way)
    if not isinstance(current, BrowserSession):
        raise for_browsers()
    return current


def _context(row_id: str) -> Context:
    return Context(table="session", kind=Kind.SESSION, row=bytes.fromhex(row_id))

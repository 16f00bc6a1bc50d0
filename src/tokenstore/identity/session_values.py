"""What `flask.session` is: the values of a browser's session, read late, or nothing where there can be no session.

Where they are kept, and how, is `sessions`' business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from flask.sessions import NullSession, SessionMixin
from typing_extensions import override

from tokenstore.errors import InvalidRequest
from tokenstore.identity.session_store import SessionRow

SID_BYTES = 32
"""Random bytes of a session id."""


class BrowserSession(SessionMixin):
    """The session of a request, read when first looked at.

    `offered` is the cookie's value, which becomes the id only if `read` knows it; any other id is made here. Only
    changes of the session itself are noticed: whoever changes a value inside assigns it again. Reading raises
    StorageUnavailable or KeyUnavailable when it cannot be told whether there is a session.
    """

    modified = False

    def __init__(self, offered: str | None, read: Callable[[str], tuple[dict[str, Any], SessionRow] | None]) -> None:
        self.offered = offered
        self.row: SessionRow | None = None
        self._read = read
        self._sid = ""
        self._values: dict[str, Any] = {}

    @property
    def sid(self) -> str:
        """The secret id, for the cookie alone."""
        self._load()
        return self._sid

    def begin_anew(self, sid: str) -> None:
        """Keep the content under a new id."""
        self._load()
        self._sid, self.row, self.modified = sid, None, True

    def _load(self) -> dict[str, Any]:
        if not self._sid:
            found = self._read(self.offered) if self.offered else None
            if found and self.offered:
                self._values, self.row = found
                self._sid = self.offered
            else:
                self._sid = new_sid()
        return self._values

    @override
    def __getitem__(self, key: str) -> Any:
        return self._load()[key]

    @override
    def __setitem__(self, key: str, value: Any) -> None:
        self._load()[key] = value
        self.modified = True

    @override
    def __delitem__(self, key: str) -> None:
        del self._load()[key]
        self.modified = True

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    @override
    def __len__(self) -> int:
        return len(self._load())


class NoSession(NullSession):
    """What a request with credentials of its own has: empty, and closed to writing."""

    def _refuse(self, *_args: Any, **_values: Any) -> NoReturn:
        raise for_browsers()

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _refuse


def new_sid() -> str:
    """A session id: 256 random bits."""
    return secrets.token_urlsafe(SID_BYTES)


def for_browsers() -> InvalidRequest:
    """The answer to a request with credentials of its own where only a browser's session will do."""
    return InvalidRequest("This address is for browsers: leave the Authorization header out.")

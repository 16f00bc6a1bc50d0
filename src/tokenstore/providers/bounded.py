"""A bound on questions about opaque tokens: anybody may send such tokens, and each costs a call and holds a thread.

How many are asked at once is bounded by the places at the login provider.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from tokenstore.core.model import LOGIN_PROVIDER
from tokenstore.core.places import Places
from tokenstore.core.secret import Secret
from tokenstore.errors import BadCredentials, ProviderUnavailable

REFUSED_SECONDS: Final = 5.0
"""How long a refused token stays refused without another question."""
REFUSED_MOST: Final = 1024

_RETRY_AFTER: Final = timedelta(seconds=1)


class BoundedChecks:
    """Lets nobody wait for a place at the login provider; remembers refusals by the token's digest. Thread-safe."""

    def __init__(
        self,
        verify: Callable[[Secret], Mapping[str, Any]],
        places: Places,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verify = verify
        self._monotonic = monotonic
        self._places = places
        self._lock = threading.Lock()
        self._refused: OrderedDict[bytes, tuple[float, str, str]] = OrderedDict()

    def verify(self, token: Secret) -> Mapping[str, Any]:
        """What the check says. Raises what it raises, and ProviderUnavailable if too many are under way."""
        key = hashlib.sha256(token.reveal().encode()).digest()
        self._refuse_again(key)
        with self._places.enter(LOGIN_PROVIDER) as admitted:
            if not admitted:
                raise ProviderUnavailable(
                    "Too many access tokens are being checked with the login provider at present. Try again.",
                    retry_after=_RETRY_AFTER,
                    debug="introspection: too many at once",
                )
            try:
                return self._verify(token)
            except BadCredentials as refusal:
                self._remember(key, refusal)
                raise

    def _refuse_again(self, key: bytes) -> None:
        with self._lock:
            until, detail, debug = self._refused.get(key, (float("-inf"), "", ""))
        if self._monotonic() < until:
            raise BadCredentials(detail, debug=debug)

    def _remember(self, key: bytes, refusal: BadCredentials) -> None:
        with self._lock:
            self._refused[key] = (self._monotonic() + REFUSED_SECONDS, refusal.detail, refusal.debug)
            self._refused.move_to_end(key)
            while len(self._refused) > REFUSED_MOST:
                self._refused.popitem(last=False)

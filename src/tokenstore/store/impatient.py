"""A connection to PostgreSQL that notices when the server falls silent, which neither driver nor kernel tells.

A server that is stopped, or waits for its disk, still acknowledges what it is sent; one that is cut off sends nothing
at all. How long is too long is in `patience`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from psycopg import Connection, capabilities
from psycopg.abc import PQGen
from psycopg.errors import CancellationTimeout, ConnectionTimeout, Error, OperationalError

from tokenstore.store.patience import SILENCE_SECONDS, patience

_CANCEL_SECONDS = 0.5
_REST_SECONDS = 1.0

T = TypeVar("T")


class Silent(OperationalError):
    """The server did not answer in time; whether it carried the statement out is not known."""


class ImpatientConnection(Connection[Any]):
    """Closed by the first statement that the server leaves unanswered; raises Silent then."""

    on_unreachable: Callable[[], None] | None = None
    """To be called where the server does not even take a word on another connection."""

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """What the generator returns, as psycopg's own does. Raises Silent."""
        return super().wait(self._listening(gen, patience()), *args, **options)

    def give_up(self, seconds: float = SILENCE_SECONDS) -> Silent:
        """Close the connection in the middle of a statement, after so many seconds of silence; the error to raise.

        The statement is cancelled, since one that waits for a lock would go on waiting, and many of them take all the
        connections that the server has.
        """
        if capabilities.has_cancel_safe():  # the older way has no time limit
            try:
                self.cancel_safe(timeout=_CANCEL_SECONDS)
            except CancellationTimeout:
                if self.on_unreachable is not None:
                    self.on_unreachable()
            except Error:
                pass  # closing is what counts
        self.close()
        return Silent(f"the server has not answered for {seconds:g} s")

    def _listening(self, gen: PQGen[T], seconds: float) -> PQGen[T]:
        """The same generator, with an end to silence: without news, whoever drives it sends 0 ten times a second."""
        try:
            wanted = next(gen)
            ends = time.monotonic() + seconds
            while True:
                ready = yield wanted
                if ready:
                    ends = time.monotonic() + seconds
                elif time.monotonic() >= ends:
                    raise self.give_up(seconds)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


class Connector:
    """Opens the connections of one engine: SQLAlchemy's `do_connect`.

    Once one found the server silent, no other is tried for a second: those who queue for a connection, more than the
    pool has, would wait in vain one after the other.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rests_until = monotonic()

    def __call__(
        self, _dialect: Any, _record: Any, positional: list[Any], named: dict[str, Any]
    ) -> ImpatientConnection:
        """A new connection. Raises Silent, or what psycopg raises."""
        if self._monotonic() < self._rests_until:
            raise Silent("the server has not answered a moment ago")
        try:
            connection = ImpatientConnection.connect(*positional, **named)
        except ConnectionTimeout:
            self._rest()
            raise
        connection.on_unreachable = self._rest
        return connection

    def _rest(self) -> None:
        self._rests_until = self._monotonic() + _REST_SECONDS

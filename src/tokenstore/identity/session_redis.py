"""Browser sessions in Redis: one hash per session, which Redis itself forgets when the session ends.

The hash holds `created`, in milliseconds of Redis' clock, and `sealed`. Scripts run alone in Redis, so that an answer
that changes a session and a log-out in another process never mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tokenstore.errors import StorageUnavailable
from tokenstore.identity.session_store import SessionRow, can_be_prolonged

KEY_PREFIX = "tokenstore:session:"

_TIMEOUT_S = 2.0
_MILLISECOND = timedelta(milliseconds=1)

# Each takes the key, idle time and lifetime in milliseconds, and the content where it writes one.
_NOW = "local time = redis.call('TIME'); local now = time[1] * 1000 + math.floor(time[2] / 1000) "
_READ = """
local found = redis.call('HMGET', KEYS[1], 'sealed', 'created')
return {found[1], found[2], redis.call('PTTL', KEYS[1]), now}
"""
_INSERT = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'created', string.format('%.0f', now), 'sealed', ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[1], ARGV[2]))
"""
_USE = """
local created = redis.call('HGET', KEYS[1], 'created')
if not created then return end
if ARGV[3] then redis.call('HSET', KEYS[1], 'sealed', ARGV[3]) end
redis.call('PEXPIRE', KEYS[1], math.min(ARGV[1], created + ARGV[2] - now))
"""


class RedisSessions:
    """`SessionStore` in the Redis at `url`; no connection is made before it is needed. Thread-safe.

    Raises StorageUnavailable when Redis does not answer within 2 seconds, or not as it should.
    """

    def __init__(self, url: str, *, idle: timedelta, lifetime: timedelta) -> None:
        # A connection that was kept may be stale: one more try, on a new one. Every script may run twice.
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
            decode_responses=False,
        )
        self._idle = idle
        self._lifetime = lifetime

    def read(self, row_id: str) -> SessionRow | None:
        """The session of this id unless it has ended."""
        sealed, created, left, now = cast(tuple[bytes | None, bytes | None, int, int], self._run(_READ, row_id))
        if sealed is None or created is None or left <= 0:
            return None
        try:
            row = SessionRow(sealed, _instant(int(created)), _instant(now + left), _instant(now))
            return None if row.now >= row.created_at + self._lifetime else row
        except (ValueError, OverflowError):
            return None  # not written by us

    def insert(self, row_id: str, sealed: bytes) -> None:
        """Keep a new session."""
        self._run(_INSERT, row_id, sealed)

    def update(self, row_id: str, sealed: bytes) -> None:
        """Replace the content and count as used, if the session is there."""
        self._run(_USE, row_id, sealed)

    def touch(self, row_id: str) -> None:
        """Count as used, if the session is there."""
        self._run(_USE, row_id)

    def delete(self, row_id: str) -> None:
        """End the session."""
        with _translated():
            self._redis.delete(KEY_PREFIX + row_id)

    def can_be_prolonged(self, row: SessionRow, pause: timedelta) -> bool:
        """See the port."""
        return can_be_prolonged(row, pause, idle=self._idle, lifetime=self._lifetime)

    def _run(self, script: str, row_id: str, *content: bytes) -> object:
        idle, lifetime = self._idle // _MILLISECOND, self._lifetime // _MILLISECOND
        with _translated():
            return self._redis.eval(_NOW + script, 1, KEY_PREFIX + row_id, idle, lifetime, *content)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        # Not chained: its text may name the server's user.
        debug = f"sessions: {type(error).__name__}"
        raise StorageUnavailable("Sessions cannot be used at present. Ask again.", debug=debug) from None


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

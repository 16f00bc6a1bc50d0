"""Where browser sessions are kept, in a database or in Redis, with time that tests can let pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

from redis import Redis
from sqlalchemy import Engine, create_engine, event, func, select, text

from tokenstore.identity.session_redis import RedisSessions
from tokenstore.identity.session_rows import SessionRows
from tokenstore.identity.session_store import SessionStore
from tokenstore.store.base import milliseconds
from tokenstore.store.engine import Database, prepare_engine
from tokenstore.store.tables import session as table

IDLE = timedelta(hours=8)
LIFETIME = timedelta(days=7)


class SessionTable(Protocol):
    """What the product makes of a place for sessions, and doors for tests."""

    @property
    def rows(self) -> SessionStore: ...

    def count(self) -> int:
        """How many sessions there are."""

    def sealed(self) -> bytes:
        """The content of the only session."""

    def ids(self) -> list[str]:
        """The stored ids."""

    def plant(self, content: bytes) -> None:
        """Write content into every session, as one with write access might."""

    def let_pass(self, time: timedelta) -> None:
        """Make every session older by this much."""

    def watch(self) -> Callable[[], tuple[int, int]]:
        """How many statements run from now on: all, and those that prolong a session."""

    def close(self) -> None:
        """Let go of all connections."""


def session_table(url: str) -> SessionTable:
    """The empty place at this URL, made ready."""
    return RedisSessionTable.at(url) if url.startswith("redis:") else SqlSessionTable.at(url)


@dataclass(frozen=True, slots=True)
class SqlSessionTable:
    """The table of a database."""

    engine: Engine
    rows: SessionRows

    @classmethod
    def at(cls, url: str) -> SqlSessionTable:
        """The table, made anew in the empty database at this URL."""
        engine = prepare_engine(create_engine(url))
        table.create(engine)
        return cls(engine, SessionRows(Database(engine), idle=IDLE, lifetime=LIFETIME))

    def count(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0

    def sealed(self) -> bytes:
        with self.engine.connect() as connection:
            content: bytes = connection.execute(select(table.c.sealed)).scalar_one()
            return content

    def ids(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.scalars(select(table.c.id)))

    def plant(self, content: bytes) -> None:
        with self.engine.begin() as connection:
            connection.execute(table.update().values(sealed=content))

    def let_pass(self, time: timedelta) -> None:
        shift = text("UPDATE session SET created_at = created_at - :by, expires_at = expires_at - :by")
        with self.engine.begin() as connection:
            connection.execute(shift, {"by": milliseconds(time)})

    def watch(self) -> Callable[[], tuple[int, int]]:
        seen: list[str] = []
        event.listen(self.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        return lambda: (len(seen), sum(statement.startswith("UPDATE") for statement in seen))

    def close(self) -> None:
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class RedisSessionTable:
    """The hashes of a Redis."""

    client: Redis
    rows: RedisSessions

    @classmethod
    def at(cls, url: str) -> RedisSessionTable:
        return cls(Redis.from_url(url), RedisSessions(url, idle=IDLE, lifetime=LIFETIME))

    def count(self) -> int:
        return len(self._keys())

    def sealed(self) -> bytes:
        [key] = self._keys()
        return cast(bytes, self.client.hget(key, "sealed"))

    def ids(self) -> list[str]:
        return [key.decode().rpartition(":")[2] for key in self._keys()]

    def plant(self, content: bytes) -> None:
        for key in self._keys():
            self.client.hset(key, "sealed", content)

    def let_pass(self, time: timedelta) -> None:
        for key in self._keys():
            self.client.hincrby(key, "created", -milliseconds(time))
            left = self.client.pttl(key) - milliseconds(time)
            self.client.pexpire(key, left)

    def watch(self) -> Callable[[], tuple[int, int]]:
        before = self._calls()
        return lambda: cast(tuple[int, int], tuple(now - then for now, then in zip(self._calls(), before, strict=True)))

    def close(self) -> None:
        self.client.close()

    def _calls(self) -> tuple[int, int]:
        done = cast(Mapping[str, Any], self.client.info("commandstats"))
        return tuple(done.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "pexpire"))

    def _keys(self) -> list[bytes]:
        return cast(list[bytes], self.client.keys("tokenstore:session:*"))

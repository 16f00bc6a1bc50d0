"""The part `growth`: the one read behind a hand-out among a thousand, a hundred thousand and a million links.

The rows are made by a few statements; those that are read are a sample spread over all of them, sealed as they must be.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, Uuid, cast, func, insert, literal, select, update

from bench.say import say
from support.harness import event, new_link, provider
from support.stores import SqlStores, sql_stores
from tokenstore.core.model import Asked, Identity, Profile
from tokenstore.core.secret import Secret
from tokenstore.store.access_tokens import access_context
from tokenstore.store.engine import SQLITE_BEGIN
from tokenstore.store.tables import access_token, link, user_account

SIZES = (1_000, 100_000, 1_000_000)
ROUNDS, SAMPLE = 9, 500
ISSUER = "https://login.example"
FIRST = Profile(Identity(ISSUER, "u0"), "Somebody", "somebody@example.org")
HERE = provider()
PLAIN = Asked().variant


@dataclass(frozen=True, slots=True)
class Grown:
    """A database of so many links, and users of it whose tokens can be opened."""

    stores: SqlStores
    users: Sequence[Identity]


def measure(urls: Sequence[str]) -> dict[str, Any]:
    """Microseconds per read by size, and ratios to the smallest; `urls` name an empty database for each size."""
    with ExitStack() as opened:
        grown = {size: opened.enter_context(_grown(url, size)) for size, url in zip(SIZES, urls, strict=True)}
        cpu: dict[int, list[float]] = {size: [] for size in SIZES}
        wall: dict[int, list[float]] = {size: [] for size in SIZES}
        say("growth: reading")
        for turn in range(ROUNDS + 1):
            for size, one in grown.items():
                spent, passed = _read(one)
                if turn:
                    cpu[size].append(spent)
                    wall[size].append(passed)
    least = SIZES[0]
    return {
        str(size): {
            "cpu": statistics.median(cpu[size]),
            "wall": statistics.median(wall[size]),
            "ratio": statistics.median(a / b for a, b in zip(cpu[size], cpu[least], strict=True)),
            "wall_ratio": statistics.median(a / b for a, b in zip(wall[size], wall[least], strict=True)),
        }
        for size in SIZES
    }


def _read(grown: Grown) -> tuple[float, float]:
    """Mean microseconds of CPU and of time per read, over the sample in another order each time."""
    users = random.sample(grown.users, len(grown.users))
    read = grown.stores.links.cached
    spent, passed = time.thread_time(), time.perf_counter()
    for user in users:
        if read(user, HERE.id, None, PLAIN) is None:
            raise RuntimeError(f"{user.subject} has no token")
    spent, passed = time.thread_time() - spent, time.perf_counter() - passed
    return spent / len(users) * 1e6, passed / len(users) * 1e6


@contextmanager
def _grown(url: str, size: int) -> Iterator[Grown]:
    with sql_stores(url) as stores:
        say(f"growth: making {size:,} links")
        stores.links.attach(new_link(FIRST, HERE), event())
        on_sqlite = stores.engine.dialect.name == "sqlite"
        alone = {SQLITE_BEGIN: ""} if on_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with stores.engine.execution_options(**alone).connect() as connection:
            if on_sqlite:
                connection.exec_driver_sql("PRAGMA synchronous = OFF")
                connection.exec_driver_sql("PRAGMA cache_size = -200000")
            _multiply(connection, size)
            connection.exec_driver_sql("ANALYZE")
        stores.engine.dispose()  # with what was set for making the rows
        yield Grown(stores, _sample(stores, size))


def _multiply(connection: Connection, size: int) -> None:
    """Copies of the first user with link and token, numbered from 1."""
    numbers = select(literal(1).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < size - 1))
    on_postgresql = connection.dialect.name == "postgresql"

    def key(kind: int) -> ColumnElement[Any]:
        if on_postgresql:
            digits = func.lpad(func.to_hex(numbers.c.i), 31, "0")
            return cast(literal(f"{kind}").concat(digits), Uuid)
        return func.printf(f"{kind}%031x", numbers.c.i)

    user, owned = key(1), key(2)
    named = func.concat("u", numbers.c.i) if on_postgresql else func.printf("u%d", numbers.c.i)
    for table, changes in (
        (user_account, {"id": user, "subject": named}),
        (link, {"id": owned, "user_id": user, "subject": named}),
        (access_token, {"link_id": owned}),
    ):
        columns = [changes.get(column.name, column) for column in table.c]
        connection.execute(_copied(table, select(*columns).select_from(table).join(numbers, literal(1) == 1)))


def _copied(table: Table, rows: Any) -> Any:
    return insert(table).from_select([column.name for column in table.c], rows, include_defaults=False)


def _sample(stores: SqlStores, size: int) -> Sequence[Identity]:
    """Users spread over all, their tokens sealed for their own rows and good for an hour."""
    numbers = random.Random(size).sample(range(1, size), SAMPLE)  # noqa: S311  (which rows are read is no secret)
    with stores.database.writing() as connection:
        for number in numbers:
            user_id, link_id = UUID(f"1{number:031x}"), UUID(f"2{number:031x}")
            context = access_context(link_id, user_id, HERE.id, HERE.client_id, PLAIN)  # type: ignore[arg-type]
            sealed = stores.vault.seal(Secret("=" + "x" * 43), context)
            connection.execute(update(access_token).where(access_token.c.link_id == link_id).values(sealed=sealed))
    return [Identity(ISSUER, f"u{number}") for number in numbers]

"""The part `growth`: a cached token, and the one read behind it, among a thousand and up to a million links.

The rows are made by a few statements; those that are read are a sample spread over all of them, sealed as they must be,
and each is asked for by a program of its own user.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import ColumnElement, Connection, Table, Uuid, cast, func, insert, literal, select, update

from bench.in_process import cpu_of, environ
from bench.say import quiet_stderr, say
from bench.stand import TOKEN
from demo.store import own_settings
from demo.world import CLIENT_ID, STRICT, World
from support.harness import event, new_link, provider
from support.stores import TEST_KEY, SqlStores, sql_stores
from tokenstore import create_app
from tokenstore.core.model import Asked, Identity, Profile
from tokenstore.core.secret import Secret
from tokenstore.store.access_tokens import access_context
from tokenstore.store.engine import SQLITE_BEGIN
from tokenstore.store.patience import unhurried
from tokenstore.store.tables import access_token, link, user_account

SIZES = (1_000, 100_000, 1_000_000)
ROUNDS, SAMPLE = 9, 500
HERE = provider(STRICT, client_id=CLIENT_ID)
PLAIN = Asked().variant
HOME = "http://127.0.0.1:5000"
"""The store's address; nobody listens there."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A database of so many links, users of it whose tokens can be opened, and a store over it with their requests."""

    stores: SqlStores
    users: Sequence[Identity]
    app: Flask
    requests: Sequence[Mapping[str, Any]]


def measure(urls: Sequence[str]) -> dict[str, Any]:
    """Microseconds per request and per read by size, and ratios to the smallest; `urls` name empty databases."""
    measures = {"request": _ask, "read": _read}
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        world = opened.enter_context(World(HOME))
        grown = {
            size: opened.enter_context(_grown(url, size, world, folder)) for size, url in zip(SIZES, urls, strict=True)
        }
        spent: dict[str, dict[int, list[float]]] = {name: {size: [] for size in SIZES} for name in measures}
        say("growth: reading")
        for turn in range(ROUNDS + 1):
            for size, one in grown.items():
                for name, of in measures.items():
                    figure = of(one)
                    if turn:  # the first also verifies the callers' tokens
                        spent[name][size].append(figure)
    return {str(size): {name: _compared(of, size) for name, of in spent.items()} for size in SIZES}


def _compared(spent: Mapping[int, Sequence[float]], size: int) -> dict[str, float]:
    """The median of a size, and the median of its ratios to the smallest, round by round."""
    ratios = [a / b for a, b in zip(spent[size], spent[SIZES[0]], strict=True)]
    return {"cpu": statistics.median(spent[size]), "ratio": statistics.median(ratios)}


def _ask(grown: Grown) -> float:
    """Mean microseconds of CPU per request, over the sample in another order each time."""
    with quiet_stderr():
        return cpu_of(grown.app, random.sample(grown.requests, len(grown.requests)))


def _read(grown: Grown) -> float:
    """The same of the read alone."""
    users = random.sample(grown.users, len(grown.users))
    read = grown.stores.links.cached
    began = time.thread_time()
    for user in users:
        if read(user, HERE.id, None, PLAIN) is None:
            raise RuntimeError(f"{user.subject} has no token")
    return (time.thread_time() - began) / len(users) * 1e6


@contextmanager
def _grown(url: str, size: int, world: World, home: str) -> Iterator[Grown]:
    issuer = world.login.issuer
    with sql_stores(url) as stores:
        say(f"growth: making {size:,} links")
        first = Profile(Identity(issuer, "u0"), "Somebody", "somebody@example.org")
        stores.links.attach(new_link(first, HERE), event())
        on_sqlite = stores.engine.dialect.name == "sqlite"
        alone = {SQLITE_BEGIN: ""} if on_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with unhurried(), stores.engine.execution_options(**alone).connect() as connection:
            if on_sqlite:
                connection.exec_driver_sql("PRAGMA synchronous = OFF")
                connection.exec_driver_sql("PRAGMA cache_size = -200000")
            _multiply(connection, size)
            connection.exec_driver_sql("ANALYZE")
        stores.engine.dispose()  # with what was set for making the rows
        users = [Identity(issuer, f"u{number}") for number in _sample(stores, size)]
        app = create_app(
            {
                **own_settings(HOME, url),
                **world.settings(),
                "CRYPTOKEY": TEST_KEY.hex(),
                "INSTANCE_PATH": home,
                "LOG_LEVEL": "INFO",
            }
        )
        yield Grown(stores, users, app, [_request(world, user) for user in users])


def _request(world: World, user: Identity) -> Mapping[str, Any]:
    token = world.login.state.mint_access_token(user.subject, CLIENT_ID)
    return environ(TOKEN, {"Authorization": f"Bearer {token}"})


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


def _sample(stores: SqlStores, size: int) -> Sequence[int]:
    """Numbers of users spread over all, their tokens sealed for their own rows and good for an hour."""
    numbers = random.Random(size).sample(range(1, size), SAMPLE)  # noqa: S311  (which rows are read is no secret)
    with stores.database.writing() as connection:
        for number in numbers:
            user_id, link_id = UUID(f"1{number:031x}"), UUID(f"2{number:031x}")
            context = access_context(link_id, user_id, HERE.id, HERE.client_id, PLAIN)  # type: ignore[arg-type]
            sealed = stores.vault.seal(Secret("=" + "x" * 43), context)
            connection.execute(update(access_token).where(access_token.c.link_id == link_id).values(sealed=sealed))
    return numbers

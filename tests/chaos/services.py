"""F-AWAY: what the store leans on is restarted or killed while tokens are wanted: PostgreSQL, Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from chaos.asking import Asking, alive, patiently, told
from chaos.databases import Databases
from chaos.databases_away import AWAY, DOCUMENTED, RECOVERED_WITHIN
from chaos.races import race
from chaos.relinks import Readers
from chaos.trials import Battery, Cell, Checks, Finding, Trial
from support.cluster import Cluster, cluster
from support.far_provider import FarProvider, far_provider
from support.postgres import PostgresServer
from support.postgres_process import Order
from support.redis_server import free_place, redis_at

READERS = 8
LINKS = 8


@contextmanager
def restarting(server: PostgresServer, home: Path) -> Iterator[Trial]:
    """PostgreSQL is restarted, in order and by `kill -9` in turns, under load on two nodes."""
    with (
        server.database() as url,
        far_provider() as idp,
        cluster(url, home, {"idp": idp}, nodes=2, workers=1) as store,
    ):
        yield lambda number: restart(store, idp, server, (Order.STOP, Order.KILL)[number % 2])


def restart(store: Cluster, idp: FarProvider, server: PostgresServer, way: Order) -> Finding:
    """While a cached token is read all the time and other links are refreshed."""
    checks = Checks()
    [cached], links = store.seed.link("idp", expired=False), store.seed.link("idp", LINKS)
    readers = Readers(store, cached, READERS)
    time.sleep(0.3)
    asked = [Asking(store, link, node=number % 2) for number, link in enumerate(links)]
    server.obey(way)
    time.sleep(0.5)
    server.obey(Order.START)
    back = time.monotonic()
    for link in (cached, *links):
        checks.same("afterwards", told(patiently(checks, store, link, waiting=AWAY)), (200, None))
    checks.figures["recovered after (s)"] = time.monotonic() - back
    checks.that(time.monotonic() - back < RECOVERED_WITHIN, f"recovered after {time.monotonic() - back:.0f} s")
    reads = readers.stop()
    answers = {told(read.reply) for read in reads} | {told(asking.reply()) for asking in asked}
    checks.that(answers <= DOCUMENTED, f"told {answers - DOCUMENTED}")
    late = [read for read in reads if read.begun > back + RECOVERED_WITHIN and read.reply.status != 200]
    checks.same("answers without a token later", len(late), 0)
    alive(checks, store, idp, links)
    return checks.finding()


@contextmanager
def without_redis(database_url: str, home: Path) -> Iterator[Trial]:
    """Sessions are kept in a Redis that dies during the race."""
    place = free_place()
    with far_provider() as idp, ExitStack() as redis:
        redis.enter_context(redis_at(place))
        with cluster(
            database_url, home, {"idp": idp}, workers=2, SESSION_TYPE="redis", SESSION_REDIS=place.url
        ) as store:
            links = store.seed.link("idp", 10)

            def trial(_number: int) -> Finding:
                checks = Checks()
                checks.deviations += race(store, idp, links, 10, all_at_once=False).deviations
                redis.close()
                checks.deviations += race(store, idp, links, 10, all_at_once=False).deviations
                redis.enter_context(redis_at(place))
                return checks.finding()

            yield trial


def _postgres(databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.server() as server, restarting(server, home) as trial:
        yield trial


def _redis(databases: Databases, home: Path) -> Iterator[Trial]:
    with databases.empty("PostgreSQL", home) as url, without_redis(url, home) as trial:
        yield trial


BATTERIES = (
    Battery(
        "F-AWAY",
        "PostgreSQL is restarted or killed while two nodes read and refresh; the Redis of the sessions is killed "
        "between two races",
        "503 meanwhile and tokens within 10 s, nothing lost; races as ever without Redis",
        [
            Cell("PostgreSQL", 8, 4.0, contextmanager(_postgres)),
            Cell("Redis", 3, 3.0, contextmanager(_redis)),
        ],
    ),
)

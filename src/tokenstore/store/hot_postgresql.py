"""Statements on psycopg's own low-level interface (`psycopg.pq`), where a read costs a third of a cursor's.

One prepared statement is one round trip there. The types are read by psycopg's loaders, in binary. Nothing here blocks
inside the library, which would wait for a silent server without end.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Any

from psycopg.errors import DataError, OperationalError, error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from tokenstore.store.engine import unavailable
from tokenstore.store.impatient import ImpatientConnection
from tokenstore.store.patience import SILENCE_SECONDS


class PostgresRunner:
    """Runs statements with `$1` parameters on one connection; what it cannot do raises psycopg's errors.

    Where the server falls silent, the connection is closed and StorageUnavailable raised.
    """

    def __init__(self, connection: ImpatientConnection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._news = select.poll()
        self._news.register(self._pgconn.socket, select.POLLIN)
        # What an operator sets to None for a connection pooler that loses prepared statements.
        self._prepares = connection.prepare_threshold is not None
        self._names: dict[str, bytes] = {}
        self._loaders: dict[str, list[Callable[[bytes], Any]]] = {}

    def __call__(self, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The rows; every value is sent as its text."""
        texts = [str(value).encode() for value in values]
        if any(b"\0" in one for one in texts):
            # The library takes texts as C strings: what follows a NUL would be cut off, and another row be found.
            raise DataError("a text with NUL cannot be asked for")
        if self._prepares:
            self._pgconn.send_query_prepared(self._name(sql), texts, None, Format.BINARY)
        else:
            self._pgconn.send_query_params(sql.encode(), texts, None, None, Format.BINARY)
        result = self._answer(ExecStatus.TUPLES_OK)
        loaders = self._loaders.get(sql) or self._loaders_of(sql, result)
        columns = range(result.nfields)
        return [
            [
                None if value is None else load(value)
                for load, value in zip(loaders, [result.get_value(row, column) for column in columns], strict=True)
            ]
            for row in range(result.ntuples)
        ]

    def _name(self, sql: str) -> bytes:
        if sql not in self._names:
            name = b"tokenstore_%d" % len(self._names)
            self._pgconn.send_prepare(name, sql.encode())
            self._answer(ExecStatus.COMMAND_OK)
            self._names[sql] = name
        return self._names[sql]

    def _loaders_of(self, sql: str, result: PGresult) -> list[Callable[[bytes], Any]]:
        adapters = self._connection.adapters
        kinds = [result.ftype(index) for index in range(result.nfields)]
        found = [adapters.get_loader(kind, Format.BINARY) for kind in kinds]
        self._loaders[sql] = [
            loader(kind, self._connection).load for loader, kind in zip(found, kinds, strict=True) if loader
        ]
        return self._loaders[sql]

    def _answer(self, expected: ExecStatus) -> PGresult:
        """The result of the statement that was sent; the connection is ready for the next one then."""
        pgconn, result = self._pgconn, None
        while True:
            while pgconn.is_busy():
                if not self._news.poll(SILENCE_SECONDS * 1000):
                    silent = self._connection.give_up()
                    raise unavailable(silent, str(silent)) from silent
                pgconn.consume_input()
            following = pgconn.get_result()
            if following is None:
                break
            result = following
        if result is None:
            raise OperationalError("the server gave no result")
        if result.status != expected:
            raise error_from_result(result)
        return result

"""Statements on psycopg's own low-level interface (`psycopg.pq`), where a read costs a third of a cursor's.

One prepared statement is one round trip there. The types are read by psycopg's loaders, in binary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Connection
from psycopg.errors import DataError, error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult


class PostgresRunner:
    """Runs statements with `$1` parameters on one connection; what it cannot do raises psycopg's errors."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
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
            result = self._pgconn.exec_prepared(self._name(sql), texts, None, Format.BINARY)
        else:
            result = self._pgconn.exec_params(sql.encode(), texts, None, None, Format.BINARY)
        self._check(result, ExecStatus.TUPLES_OK)
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
            self._check(self._pgconn.prepare(name, sql.encode()), ExecStatus.COMMAND_OK)
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

    def _check(self, result: PGresult, expected: ExecStatus) -> None:
        if result.status != expected:
            raise error_from_result(result)

"""How time is stored, and the database's own clock.

Instants are aware UTC datetimes in Python and integer milliseconds since 1970 in the database, on SQLite and
PostgreSQL alike; durations in statements are integer milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, case, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(duration: timedelta) -> int:
    """A duration as statements take it, rounded down."""
    return duration // _MILLISECOND


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as milliseconds since 1970-01-01 UTC (rounded down); read back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  (SQLAlchemy's)
        return None if value is None else (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  (SQLAlchemy's)
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class db_now(FunctionElement[datetime]):  # noqa: N801  (reads as the SQL function it is)
    """The database's clock, the only one that leases, expiry and back-off go by; it moves within a transaction."""

    type = Instant()
    inherit_cache = True


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001  (SQLAlchemy's)
    # unixepoch('subsec') came with SQLite 3.42; a Julian day as a double is exact to less than a millisecond.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001  (SQLAlchemy's)
    return "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)"


def from_now(duration: timedelta | ColumnElement[int]) -> ColumnElement[datetime]:
    """The instant this long after the database's now (before it, if negative)."""
    shift = milliseconds(duration) if isinstance(duration, timedelta) else duration
    return type_coerce(type_coerce(db_now(), BigInteger) + shift, Instant)


def next_end(created_at: ColumnElement[datetime], *, idle: timedelta, lifetime: timedelta) -> ColumnElement[datetime]:
    """When that ends which was made then and is used at the database's now: after `idle`, but within `lifetime`."""
    last = type_coerce(created_at, BigInteger) + milliseconds(lifetime)
    unused = type_coerce(from_now(idle), BigInteger)
    return type_coerce(case((last < unused, last), else_=unused), Instant)

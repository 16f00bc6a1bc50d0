"""A database as the reference implementation leaves it: its tables, and refresh tokens sealed under its key."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import (
    Column,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    create_engine,
    insert,
)

from tokenstore.vault.kek import parse_cryptokey

REFERENCE_KEY = bytes(range(1, 33)).hex()
OTHER_KEY = bytes(range(101, 133)).hex()
SEALED_AT = 1_750_000_000
"""When the rows were sealed unless a test says otherwise, in seconds since 1970."""

metadata = MetaData()
refresh_token = Table(
    "refresh_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("provider", Text),
    Column("token", LargeBinary),
    Column("expires_in", Integer),
    Column("expires_at", Float),
    Column("user_id", Text),
    Index("ix_refresh_token_provider", "provider"),
    Index("ix_refresh_token_user_id", "user_id"),
)
# Alembic's own table; the revision is that of the reference's only migration.
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))


def fernet(text: str, key: str = REFERENCE_KEY, at: int = SEALED_AT) -> bytes:
    """A text as the reference seals it under a key of its CRYPTOKEY."""
    [raw] = parse_cryptokey(key)
    return Fernet(base64.urlsafe_b64encode(raw)).encrypt_at_time(text.encode(), at)


@dataclass(frozen=True, slots=True)
class Reference:
    """The database of a reference implementation."""

    url: str
    engine: Engine

    def add(
        self,
        user: str | None = "ann",
        provider: str | None = "idp1",
        token: bytes | None = None,
        expires_at: float | None = None,
    ) -> int:
        """A row, its token `refresh token` unless given; its id."""
        values = {
            "provider": provider,
            "user_id": user,
            "token": fernet("refresh token") if token is None else token,
            "expires_in": 0 if expires_at is None else 3600,
            "expires_at": expires_at,
        }
        with self.engine.begin() as connection:
            row: int = connection.scalars(insert(refresh_token).values(values).returning(refresh_token.c.id)).one()
        return row


@contextmanager
def reference_at(url: str) -> Iterator[Reference]:
    """The reference's tables, made in a database."""
    engine = create_engine(url, poolclass=NullPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(alembic_version).values(version_num="a07e67c00e84"))
    yield Reference(url, engine)
    engine.dispose()


@pytest.fixture
def reference(database_url: str) -> Iterator[Reference]:
    """A reference implementation's database without a row, on each kind of database."""
    with reference_at(database_url) as made:
        yield made

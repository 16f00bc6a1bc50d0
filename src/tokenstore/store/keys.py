"""The table `vault_key`: wrapped data keys, of which one is active."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from tokenstore.store.base import db_now
from tokenstore.store.engine import Database, insert_into
from tokenstore.store.tables import vault_key
from tokenstore.vault.keyring import KeyRow, KeyState


class SqlKeyStore:
    """The `KeyStore` port of the vault."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self) -> Sequence[KeyRow]:
        """Every row, in one consistent read."""
        columns = vault_key.c
        statement = select(
            columns.dek_id, columns.alg, columns.wrapped, columns.kek_id, columns.state, columns.kcv
        ).order_by(columns.created_at, columns.dek_id)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            KeyRow(dek_id, alg, wrapped, kek_id, KeyState(state), kcv)
            for dek_id, alg, wrapped, kek_id, state, kcv in rows
        ]

    def insert_first(self, row: KeyRow) -> bool:
        """Insert an active row if there is no other; False if another worker was first.

        The unique index on the active state decides, whoever waits for whom.
        """
        with self._database.writing() as connection:
            statement = (
                insert_into(connection, vault_key)
                .values(
                    dek_id=row.dek_id,
                    alg=row.alg,
                    wrapped=row.wrapped,
                    kek_id=row.kek_id,
                    state=row.state,
                    kcv=row.kcv,
                    created_at=db_now(),
                )
                .on_conflict_do_nothing()
                .returning(vault_key.c.dek_id)
            )
            return connection.execute(statement).first() is not None

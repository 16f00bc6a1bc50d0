"""Whether the tables are those that this version of the store needs. Migrating them is `flask db upgrade`'s work."""

from __future__ import annotations

from functools import cached_property

from alembic.script import ScriptDirectory
from sqlalchemy import ColumnClause, column, select, table

from tokenstore.errors import StorageUnavailable
from tokenstore.store.base import db_now
from tokenstore.store.engine import Database

_DETAIL = "The database is not set up for this version of the store."


class Schema:
    """The migration that the database is at, compared with those that came with the store.

    directory      folder of the migrations
    version_table  where Alembic keeps the one that the database is at
    """

    def __init__(self, database: Database, directory: str, version_table: str) -> None:
        self._database = database
        self._directory = directory
        self._version: ColumnClause[str] = column("version_num")
        self._table = table(version_table, self._version)

    def require(self) -> None:
        """Raise StorageUnavailable, with the mend for the log, unless the database answers and is migrated.

        A database that a newer version has migrated is fine: two versions serve side by side during an upgrade.
        """
        with self._database.reading() as connection:
            connection.execute(select(db_now())).scalar_one()
        try:
            with self._database.reading() as connection:
                at = connection.scalar(select(self._version).select_from(self._table))
        except StorageUnavailable as error:
            raise StorageUnavailable(
                _DETAIL, debug=f"there are no tables: run flask db upgrade ({error.debug})"
            ) from error
        if at is None or at in self._older:
            raise StorageUnavailable(_DETAIL, debug=f"the tables are at migration {at}: run flask db upgrade")

    @cached_property
    def _older(self) -> frozenset[str]:
        """The migrations before the newest that came with the store."""
        scripts = ScriptDirectory(self._directory)
        return frozenset(one.revision for one in scripts.walk_revisions()) - set(scripts.get_heads())

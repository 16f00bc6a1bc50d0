"""Whether a connection that leaves the pool is still alive, found out without asking the server.

SQLAlchemy's `pool_pre_ping` would ask every time; that round trip costs more than most of our statements.
"""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection


def check_on_checkout(engine: Engine) -> None:
    """Attach the check to the engine's pool, which replaces a dead connection by a new one.

    A server that restarted or ended a session has said so or hung up, and both can be read from an idle connection.
    Where there is nothing to read, the connection is as good as a ping a moment ago would tell.
    """
    dialect = engine.dialect

    def check(connection: Any, _record: ConnectionPoolEntry, _lent: PoolProxiedConnection) -> None:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return
        try:
            dialect.do_ping(connection)  # it may have been a mere notice
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server ended the connection") from error

    event.listen(engine, "checkout", check)

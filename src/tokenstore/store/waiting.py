"""Tokens that wait for a person's word: sealed, found by id, user and browser session, taken by deleting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from tokenstore.core.model import Account, Identity, LinkId, ProviderId, TokenSet, UserId
from tokenstore.core.ports import Waiting
from tokenstore.core.secret import Secret
from tokenstore.errors import KeyUnavailable, PolicyDenied
from tokenstore.store.base import db_now, from_now
from tokenstore.store.engine import Database
from tokenstore.store.tables import link_waiting, user_account
from tokenstore.store.users import lock_user
from tokenstore.vault.envelope import Context, Kind
from tokenstore.vault.vault import Label, Vault

_columns = link_waiting.c
_READ = (
    *(_columns.id, _columns.user_id, _columns.provider_id, _columns.client_id),
    *(_columns.sealed, _columns.created_at, db_now()),
)
_MOST_STALE = 2
"""Rows that one call takes, so that nobody waits long for them to be revoked."""


class SqlWaitingStore:
    """The `WaitingStore` port."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def save(self, waiting: Waiting, session_key: str, patience: timedelta) -> None:
        """Keep it for this browser session and this long."""
        self._vault.ready()
        with self._database.writing() as connection:
            user_id = lock_user(connection, waiting.user)
            if user_id is None:
                raise PolicyDenied("This user may not link accounts.")
            context = _context(waiting.id, user_id, waiting.provider_id, waiting.client_id)
            connection.execute(
                insert(link_waiting).values(
                    id=waiting.id,
                    user_id=user_id,
                    session_hash=self._hash(session_key),
                    provider_id=waiting.provider_id,
                    client_id=waiting.client_id,
                    sealed=self._vault.seal(_pack(waiting), context),
                    created_at=db_now(),
                    expires_at=from_now(patience),
                )
            )

    def find(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """What waits there for this user in this session. Raises KeyUnavailable."""
        statement = select(*_READ).where(self._answerable(waiting_id, user, session_key))
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._opened(row)

    def take(self, waiting_id: UUID, user: Identity, session_key: str) -> Waiting | None:
        """The same, removed. Raises KeyUnavailable."""
        statement = delete(link_waiting).where(self._answerable(waiting_id, user, session_key)).returning(*_READ)
        with self._database.writing() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._opened(row)

    def take_stale(self, user: Identity | None = None, provider_id: ProviderId | None = None) -> Sequence[Waiting]:
        """Some of what is too old, and what the user has waiting at the provider, removed."""
        stale: ColumnElement[bool] = _columns.expires_at <= db_now()
        if user is not None:
            stale = or_(stale, and_(_columns.provider_id == provider_id, _columns.user_id.in_(_id_of(user))))
        oldest = select(_columns.id).where(stale).order_by(_columns.expires_at).limit(_MOST_STALE)
        with self._database.writing() as connection:
            rows = connection.execute(delete(link_waiting).where(_columns.id.in_(oldest)).returning(*_READ)).all()
        taken = []
        for row in rows:
            try:
                taken.append(self._opened(row))
            except KeyUnavailable:
                continue
        return taken

    def _answerable(self, waiting_id: UUID, user: Identity, session_key: str) -> ColumnElement[bool]:
        return and_(
            _columns.id == waiting_id,
            _columns.user_id.in_(_id_of(user)),
            _columns.session_hash == self._hash(session_key),
            _columns.expires_at > db_now(),
        )

    def _opened(self, row: Any) -> Waiting:
        waiting_id, user_id, provider_id, client_id, sealed, created_at, now = row
        packed = self._vault.open(sealed, _context(waiting_id, user_id, provider_id, client_id))
        return _unpack(packed, waiting_id, ProviderId(provider_id), client_id, now - created_at)

    def _hash(self, session_key: str) -> bytes:
        return self._vault.lookup(Label.LOOKUP, session_key)


def reseal_waiting(
    connection: Connection, vault: Vault, waiting_id: UUID, old: ProviderId, new: ProviderId, *, dry_run: bool
) -> bool:
    """Give what waits to another provider; False if it is gone. Raises KeyUnavailable."""
    wanted = select(_columns.user_id, _columns.client_id, _columns.sealed)
    mine = and_(_columns.id == waiting_id, _columns.provider_id == old)
    row = connection.execute(wanted.where(mine).with_for_update()).first()
    if row is None:
        return False
    packed = vault.open(row.sealed, _context(waiting_id, row.user_id, old, row.client_id))
    if not dry_run:
        sealed = vault.seal(packed, _context(waiting_id, row.user_id, new, row.client_id))
        connection.execute(update(link_waiting).where(mine).values(provider_id=new, sealed=sealed))
    return True


def _id_of(user: Identity) -> Any:
    person = user_account.c
    return select(person.id).where(person.issuer == user.issuer, person.subject == user.subject)


def _context(waiting_id: UUID, user_id: UserId, provider_id: ProviderId, client_id: str) -> Context:
    return Context(link_waiting.name, Kind.WAITING, waiting_id, user_id, provider_id, client_id)


def _pack(waiting: Waiting) -> Secret:
    content = {
        "user": [waiting.user.issuer, waiting.user.subject],
        "account": asdict(waiting.account),
        "tokens": _packed_tokens(waiting.tokens),
        "scopes_requested": sorted(waiting.scopes_requested),
        "elapsed": waiting.elapsed.total_seconds(),
        "return_url": waiting.return_url,
        "reports": waiting.reports,
        "link": str(waiting.link_id) if waiting.link_id else None,
    }
    return Secret(json.dumps(content))


def _unpack(packed: Secret, waiting_id: UUID, provider_id: ProviderId, client_id: str, waited: timedelta) -> Waiting:
    content = json.loads(packed.reveal())
    return Waiting(
        id=waiting_id,
        user=Identity(*content["user"]),
        provider_id=provider_id,
        client_id=client_id,
        account=Account(**content["account"]),
        tokens=_unpacked_tokens(content["tokens"]),
        scopes_requested=frozenset(content["scopes_requested"]),
        elapsed=timedelta(seconds=content["elapsed"]) + waited,
        return_url=content["return_url"],
        reports=content["reports"],
        link_id=LinkId(UUID(content["link"])) if content["link"] else None,
    )


def _packed_tokens(tokens: TokenSet) -> dict[str, Any]:
    """All of a token set but its ID token, which has told all it had to."""
    return {
        "access_token": tokens.access_token.reveal(),
        "expires_in": _seconds(tokens.expires_in),
        "refresh_token": tokens.refresh_token.reveal() if tokens.refresh_token else None,
        "refresh_expires_in": _seconds(tokens.refresh_expires_in),
        "refresh_never_expires": tokens.refresh_never_expires,
        "scopes": None if tokens.scopes is None else sorted(tokens.scopes),
        "extra": tokens.extra,
        "others": {server: _packed_tokens(other) for server, other in tokens.others.items()},
    }


def _unpacked_tokens(content: dict[str, Any]) -> TokenSet:
    return TokenSet(
        access_token=Secret(content["access_token"]),
        expires_in=_span(content["expires_in"]),
        refresh_token=Secret(content["refresh_token"]) if content["refresh_token"] else None,
        refresh_expires_in=_span(content["refresh_expires_in"]),
        refresh_never_expires=content["refresh_never_expires"],
        scopes=None if content["scopes"] is None else frozenset(content["scopes"]),
        extra=content["extra"],
        others={server: _unpacked_tokens(other) for server, other in content["others"].items()},
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)

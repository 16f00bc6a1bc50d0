"""LoginStore in memory, for tests of what stands above it; the suite in `tests/conformance` runs on it, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import UUID, uuid4

from tokenstore.core.model import AuditEvent, Identity, Login, LogoutNotice
from tokenstore.errors import PolicyDenied

IDLE = timedelta(hours=8)
LIFETIME = timedelta(days=7)


@dataclass(slots=True)
class LoginRow:
    """A login with what is not shown of it."""

    login: Login
    user: Identity
    sid: str | None


@dataclass(slots=True)
class FakeLogins:
    """Everybody is known here and enabled unless `disabled`; `now` moves only when told to."""

    now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    rows: dict[UUID, LoginRow] = field(default_factory=dict)
    disabled: set[Identity] = field(default_factory=set)
    events: list[AuditEvent] = field(default_factory=list)
    heard: dict[tuple[str, str], datetime] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def begin(self, user: Identity, sid: str | None, agent: str | None) -> UUID:
        if user in self.disabled:
            raise PolicyDenied("This user is disabled.")
        login = Login(uuid4(), agent, self.now, self.now, self.now + min(IDLE, LIFETIME))
        self.rows[login.id] = LoginRow(login, user, sid)
        return login.id

    def holder(self, login_id: UUID) -> Identity | None:
        row = self._live().get(login_id)
        if row is None or row.user in self.disabled:
            return None
        if self.now - row.login.seen_at >= timedelta(minutes=1):
            ends = min(self.now + IDLE, row.login.created_at + LIFETIME)
            row.login = replace(row.login, seen_at=self.now, ends_at=ends)
        return row.user

    def logins(self, user: Identity) -> Sequence[Login]:
        mine = [row.login for row in self._live().values() if row.user == user]
        return sorted(mine, key=lambda login: login.seen_at, reverse=True)

    def end(self, user: Identity, login_id: UUID | None, event: AuditEvent) -> int:
        ended = [found for found, row in self._live().items() if row.user == user and login_id in (None, found)]
        return self._end(ended, [event])

    def end_by_notice(self, notice: LogoutNotice, keep: timedelta, event: AuditEvent) -> int | None:
        key = (notice.issuer, notice.id)
        with self.lock:
            if self.heard.get(key, self.now) > self.now:
                return None
            self.heard[key] = self.now + keep
        ended = [found for found, row in self._live().items() if _concerns(notice, row)]
        return self._end(ended, [replace(event, user=user) for user in {self.rows[found].user for found in ended}])

    def _live(self) -> dict[UUID, LoginRow]:
        return {found: row for found, row in self.rows.items() if row.login.ends_at > self.now}

    def _end(self, ended: list[UUID], events: list[AuditEvent]) -> int:
        for login_id in ended:
            del self.rows[login_id]
        if ended:
            self.events += events
        return len(ended)


def _concerns(notice: LogoutNotice, row: LoginRow) -> bool:
    return (
        row.user.issuer == notice.issuer
        and notice.subject in (None, row.user.subject)
        and notice.sid in (None, row.sid)
    )

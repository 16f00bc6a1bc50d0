"""Every kind of caller at every route in every state: who the callers are, and how one cell is tried.

What each cell has to be is declared in `support.caller_table`.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

from werkzeug.routing import Rule

from demo.client import Answer
from demo.world import CLIENT_ID, STRICT
from support.callers import PREFIX, SCOPELESS, by_key, by_password
from support.local_store import make_app
from support.store import Store, StorePerson, local_store
from support.waiting import eventually
from tokenstore.store.tables import access_token, link, login, user_account

SCOPE = "tokens"
STATES = ("not linked", "linked", "broken")
CLASSES: Mapping[str, tuple[str, ...]] = {
    "session": ("session",),
    "program": ("bearer", "opaque", "api key", "basic"),
    "other session": ("other session",),
    "anonymous": ("anonymous",),
    "bad": (
        "bearer for another audience",
        "bearer that expired",
        "ID token",
        "opaque unknown",
        "opaque for another audience",
        "refresh token as bearer",
        "bad api key",
        "bad password",
    ),
    "no scope": ("bearer without scope", "opaque without scope", "api key without scope", "basic without scope"),
    "disabled": ("disabled bearer", "disabled opaque", "disabled api key", "disabled basic"),
    "disabled session": ("disabled session",),
}
NOWHERE = UUID("00000000-0000-4000-8000-000000000000")


class Matrix:
    """A store with one person for each state, another person, and one who is disabled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._app = make_app(store.settings)
        self._people = {state: store.person() for state in STATES}
        self._other, self._gone = store.person(), store.person()
        self._links = {state: str(NOWHERE) for state in STATES}
        for state, person in self._people.items():
            person.log_in()
            if state != "not linked":
                self._links[state] = person.link(STRICT)
        self._other.log_in()
        self._gone.link(STRICT)
        self._refresh_token = store.providers[STRICT].state.live_refresh_tokens()[0]
        broken = UUID(self._links["broken"])
        store.change(link, link.c.id == broken, state="broken")
        # A token that is still good would be handed out.
        store.change(access_token, access_token.c.link_id == broken, expires_at=access_token.c.issued_at)
        gone = self._gone.login.subject
        store.change(user_account, user_account.c.subject == gone, disabled_at=user_account.c.created_at)
        self._sessions = {state: self._session_of(person) for state, person in self._people.items()}
        self._file = store.database_url.removeprefix("sqlite:///")
        self._kept = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self._file)) as present:
            present.backup(self._kept)

        eventually(lambda: self.answer("GET", "/api/whoami", "disabled bearer", "linked")[:3] == "403", "disabled")

    def answer(self, method: str, rule: str, caller: str, state: str) -> str:
        """Status, and the problem's name where it is one, of one request; then what it changed is put back."""
        person = self._people[state]
        path = self._path(rule, state)
        if caller.endswith("session"):
            somebody = {"session": person, "other session": self._other, "disabled session": self._gone}[caller]
            got = somebody.session_call(method, path)
        else:
            got = self._store.call(method, path, headers=self._headers(caller, person))
        if method != "GET":
            self._put_back()
        return said(got)

    def rules(self) -> Iterable[Rule]:
        """The routes of the application."""
        return self._app.url_map.iter_rules()

    def close(self) -> None:
        """Forget the state kept."""
        self._kept.close()

    def _put_back(self) -> None:
        with closing(sqlite3.connect(self._file)) as present:
            self._kept.backup(present)

    def _session_of(self, person: StorePerson) -> str:
        users = {row["subject"]: row["id"] for row in self._store.rows(user_account)}
        mine = [row["id"] for row in self._store.rows(login) if row["user_id"] == users[person.login.subject]]
        return str(mine[0])

    def _path(self, rule: str, state: str) -> str:
        values = {
            "provider": STRICT,
            "provider_id": STRICT,
            "link": self._links[state],
            "link_id": self._links[state],
            "session_id": self._sessions[state],
            "slug": "not-linked",
            "waiting_id": str(NOWHERE),
            "filename": "style.css",
        }
        return rule.format(**values)

    def _headers(self, caller: str, person: StorePerson) -> dict[str, str]:
        if caller.startswith("disabled "):
            person, caller = self._gone, caller.removeprefix("disabled ")
        state, subject = self._store.world.login.state, person.login.subject
        if caller == "anonymous":
            return {}
        key = (SCOPELESS if caller.endswith("without scope") else PREFIX) + subject
        if "api key" in caller:
            return {"X-Api-Key": "wrong-key" if caller.startswith("bad") else key}
        if caller in ("basic", "basic without scope", "bad password"):
            pair = f"{subject}:{'wrong' if caller.startswith('bad') else key}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        tokens: Mapping[str, Callable[[], str]] = {
            "bearer": lambda: person.bearer(scope=SCOPE),
            "bearer for another audience": lambda: person.bearer("another", scope=SCOPE),
            "bearer that expired": lambda: person.bearer(scope=SCOPE, expires_in=-120),
            "bearer without scope": lambda: person.bearer(scope="openid"),
            "ID token": lambda: person.bearer(scope=SCOPE, nonce="n", at_hash="h"),
            "opaque": lambda: state.mint_opaque_token(subject, CLIENT_ID, SCOPE),
            "opaque without scope": lambda: state.mint_opaque_token(subject, CLIENT_ID),
            "opaque for another audience": lambda: state.mint_opaque_token(subject, "another", SCOPE),
            "opaque unknown": lambda: "no-token-that-anybody-gave-out",
            "refresh token as bearer": lambda: self._refresh_token,
        }
        return {"Authorization": f"Bearer {tokens[caller]()}"}


def said(got: Answer) -> str:
    """`200`, or `404 not-linked`; pages do not name their problem."""
    return f"{got.status} {got.slug}" if got.slug else str(got.status)


@contextmanager
def matrix_store(home: Path) -> Iterator[Matrix]:
    """A matrix over a store that takes all kinds of credentials and demands a scope of programs."""
    functions = {"basic": by_password, "apikey-v1": by_key}
    with local_store(home, OIDC_INTROSPECTION=True, OIDC_REQUIRED_SCOPE=SCOPE, USERINFO_MAP=functions) as running:
        matrix = Matrix(running)
        try:
            yield matrix
        finally:
            matrix.close()

"""A running store with its providers, and people who use it: fixtures for every test that goes over HTTP.

`store` is one store per test process, served by threads on SQLite; each test gets people of its own, and the faults
that it turned on are gone afterwards. `store_on` starts real processes on a given database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import (
    ColumnElement,
    Connection,
    NullPool,
    RowMapping,
    Table,
    create_engine,
    select,
    update,
)

from demo.address import Address
from demo.browser import Browser, Page, origin_of
from demo.client import Answer, call
from demo.config import Account
from demo.person import Person
from demo.server import RunningProvider
from demo.store import own_settings, running_store
from demo.world import CLIENT_ID, World
from support.local_store import serving_locally
from support.passing import move_back
from support.patience import Patience
from tokenstore.core.model import LOGIN_PROVIDER
from tokenstore.store.tables import audit_event, metadata

API = "/api/v1.0"
_names = count(1)


@dataclass(frozen=True, slots=True)
class Store:
    """A store that runs, and all around it.

    `settings` is all that it was told; `log` is that of its processes, None for one in this process, which has
    `patience`.
    """

    url: str
    world: World
    database_url: str
    settings: Mapping[str, object]
    log: Path | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the address."""
        return origin_of(self.url)

    @property
    def scope(self) -> str:
        """The scope that programs need."""
        return str(self.settings.get("OIDC_REQUIRED_SCOPE", "openid"))

    @property
    def providers(self) -> Mapping[str, RunningProvider]:
        """The token providers by id."""
        return self.world.providers

    def person(self) -> StorePerson:
        """Somebody new, with an account to log in and two accounts at every token provider."""
        name = f"person-{next(_names)}"
        person = StorePerson(self, Account.named(name), Account.named(name), Account.named(f"{name}-work"))
        self.world.enrol(person.login, person.account, person.other_account)
        return person

    def call(self, method: str, path: str, **request: Any) -> Answer:
        """One request of a program, anonymous unless `bearer` is given; see `demo.client.call`."""
        return call(self.url, method, path, **request)

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store, at once."""
        let_pass(self.database_url, seconds)
        self.patience.let_pass(seconds)

    def calm(self) -> None:
        """Providers behave again, and the store does not remember that they did not."""
        self.world.calm()
        self.patience.forget([*self.providers, LOGIN_PROVIDER])

    def rows(self, table: Table) -> list[RowMapping]:
        """Everything in a table."""
        with self._connection() as connection:
            return list(connection.execute(select(table)).mappings())

    def change(self, table: Table, where: ColumnElement[bool], **values: object) -> None:
        """Change rows of a table, as an operator or time would."""
        with self._connection() as connection:
            connection.execute(update(table).where(where).values(values))

    def audit(self, person: StorePerson | None = None) -> list[tuple[str, str | None]]:
        """What the audit says, oldest first, of one person if given, as (action, reason)."""
        wanted = None if person is None else person.login.subject
        rows = sorted(self.rows(audit_event), key=lambda row: row["at"])
        return [(row["action"], row["reason"]) for row in rows if wanted in (None, row["user_subject"])]

    def _connection(self) -> AbstractContextManager[Connection]:
        return _connection(self.database_url)


class StorePerson:
    """A person of a test: accounts, one browser, and programs that act with the person's access token."""

    def __init__(self, store: Store, login: Account, account: Account, other_account: Account) -> None:
        self.store = store
        self.login = login
        self.account = account
        self.other_account = other_account
        self.browser = Browser()

    def log_in(self, return_url: str | None = None) -> Page:
        """Log in in the browser; the page where that ends."""
        query = "" if return_url is None else "?" + urlencode({"return_url": return_url})
        page = self.browser.get(f"{self.store.url}/api/oidc/login{query}")
        return Person(self.login, self.browser).answer(page)

    def log_out(self) -> Page:
        """Log out in the browser, here and at the login provider; the page where that ends."""
        page = self.browser.get(f"{self.store.url}/api/oidc/logout")
        form = next(form for form in page.forms if form.action.endswith("/api/oidc/logout"))
        return self.browser.get(str(self.browser.submit(form).refresh))

    def bearer(self, audience: str | list[str] = CLIENT_ID, **changes: Any) -> str:
        """An access token of the login provider for the store; `changes` as `mint_access_token` takes them."""
        return self.store.world.login.state.mint_access_token(self.login.subject, audience, **changes)

    def call(self, method: str, path: str, **request: Any) -> Answer:
        """A request of a program with the person's access token."""
        return call(self.store.url, method, path, bearer=self.bearer(scope=self.store.scope), **request)

    def session_call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Answer:
        """A request of the person's browser, made by a page of the store; None as a header's value leaves it out."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.browser.cookies(self.store.url).items())
        own = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}
        if method not in ("GET", "HEAD"):
            own["Origin"] = self.store.origin
        sent = {name: value for name, value in {**own, **(headers or {})}.items() if value}
        return call(self.store.url, method, path, headers=sent, **request)

    def begin(self, provider_id: str, **body: str) -> str:
        """Begin linking as a program; where the browser has to go."""
        answer = self.call("POST", f"{API}/{provider_id}/authorize", json_body=body)
        assert answer.status == 201, answer.text
        return answer.headers["Location"]

    def at_provider(self, account: Account | None = None) -> Person:
        """The person at a provider's pages, in the same browser."""
        return Person(account or self.account, self.browser)

    def callback(self, provider_id: str, account: Account | None = None, **body: str) -> str:
        """Begin linking and allow it at the provider; the callback URL, not visited yet."""
        return self.at_provider(account).approve(self.begin(provider_id, **body))

    def link(self, provider_id: str, account: Account | None = None) -> str:
        """Link an account, logging in first if need be; the link's id."""
        if self.session_call("GET", "/api/whoami").status != 200:
            self.log_in()
        page = self.browser.get(self.callback(provider_id, account), within=self.store.origin)
        asked = page.form("choice")
        if asked is not None:
            page = self.browser.submit(asked, within=self.store.origin, choice="add")
        assert page.status < 400, page.text
        subject = (account or self.account).subject
        links = self.authorization(provider_id)["links"]
        return next(str(link["id"]) for link in links if link["account"]["subject"] == subject)

    def authorization(self, provider_id: str) -> dict[str, Any]:
        """The item of one provider in the list of authorizations."""
        items = self.call("GET", f"{API}/authorizations").json()
        return next(item for item in items if item["provider"] == provider_id)

    def token(self, provider_id: str, **query: str | int) -> Answer:
        """Ask for an access token as a program."""
        return self.call("GET", f"{API}/{provider_id}/token" + ("?" + urlencode(query) if query else ""))


def let_pass(database_url: str, seconds: float) -> None:
    """Let time pass for a store on this database, at once: every instant in it moves back."""
    for table in metadata.sorted_tables:
        with _connection(database_url) as connection:
            move_back(connection, timedelta(seconds=seconds), [table])


@contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    with create_engine(database_url, poolclass=NullPool).begin() as connection:
        yield connection


@contextmanager
def local_store(home: Path, *, path: str = "", **settings: object) -> Iterator[Store]:
    """A store in this process with providers of its own; `settings` override those that it needs anyway.

    `path` is that of PUBLIC_URL.
    """
    address = Address()
    url, database_url = address.url + path, f"sqlite:///{home / 'store.sqlite'}"
    with World(url) as world:
        given = {**own_settings(url, database_url), "INSTANCE_PATH": str(home), **world.settings(), **settings}
        patience = Patience()
        with serving_locally(address, given, patience):
            yield Store(url, world, database_url, given, patience=patience)


@contextmanager
def store_on(
    database_url: str, home: Path, *, workers: int = 2, options: Sequence[str] = (), **settings: object
) -> Iterator[Store]:
    """A store in processes of its own on an empty database; `options` are Gunicorn's."""
    address = Address()
    url = address.url
    with World(url) as world:
        given = {**own_settings(url, database_url), **world.settings(), **settings}
        with running_store(address, given, home, workers=workers, options=options) as process:
            yield Store(url, world, database_url, given, process.log)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The one store of this test process; tests take `store`."""
    with local_store(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def store(shared_store: Store) -> Iterator[Store]:
    """A running store whose providers behave."""
    yield shared_store
    shared_store.calm()


@pytest.fixture
def person(store: Store) -> StorePerson:
    """Somebody who has not been here before."""
    return store.person()

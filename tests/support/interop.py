"""A store in processes of its own between two providers that are not ours: one to log in, one to link accounts at."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from demo.address import Address
from demo.browser import Browser, Page
from demo.client import Answer, call
from demo.store import own_settings, running_store
from support.oidc_provider import OidcProvider, RegisteredClient, running_oidc_provider
from support.store import API, let_pass

STORE, PROGRAM = "tokenstore", "notebook"
OTHER = "other"
"""The id of the token provider."""

_names = count(1)


@dataclass(frozen=True, slots=True)
class World:
    """The store and the providers around it."""

    url: str
    database_url: str
    log: Path
    login: OidcProvider
    other: OidcProvider

    def visitor(self) -> Visitor:
        """Somebody new."""
        number = next(_names)
        return Visitor(self, f"person-{number}", f"account-{number}")

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the store; the providers do not notice."""
        let_pass(self.database_url, seconds)


@dataclass(slots=True)
class Visitor:
    """A person with a browser, and a program that the person lets act for them."""

    world: World
    name: str
    account: str
    browser: Browser = field(default_factory=Browser)
    _bearer: str | None = None

    def open(self, path: str) -> Page:
        """A page of the store."""
        return self.browser.get(self.world.url + path)

    def log_in(self) -> Page:
        """Log in; the page of the store where that ends."""
        login = self.world.login
        begun = self.browser.get(f"{self.world.url}/api/oidc/login", within=self.world.url)
        page = self.browser.get(str(begun.location), within=login.issuer)
        return self.browser.get(str(login.answer(self.browser, page, self.name).location))

    def begin_linking(self) -> Page:
        """The first page of the token provider after the store's start page and its button."""
        start = self.open(f"/link/{OTHER}")
        form = next(form for form in start.forms if form.action.endswith(f"/link/{OTHER}"))
        onward = self.browser.submit(form)
        return self.browser.get(str(onward.refresh), within=self.world.other.issuer)

    def callback(self) -> str:
        """Allow the linking at the provider; the callback URL, not visited yet."""
        return str(self.world.other.answer(self.browser, self.begin_linking(), self.account).location)

    def link(self) -> None:
        """Link the account, logging in first if need be."""
        if self.open("/api/whoami").status == 401:
            self.log_in()
        page = self.browser.get(self.callback())
        assert page.status == 200, page.text

    def bearer(self) -> str:
        """An access token of the login provider for the store's API, a JWT; always the same."""
        if self._bearer is None:
            self._bearer = self.access_token(self.world.url)
        return self._bearer

    def opaque_bearer(self) -> str:
        """Another one, about which only the login provider knows."""
        return self.access_token(f"{self.world.url}/opaque")

    def access_token(self, resource: str | None) -> str:
        """An access token of the login provider for a resource."""
        return self.world.login.access_token(self.browser, self.name, PROGRAM, resource)

    def call(self, method: str, path: str, **request: Any) -> Answer:
        """A request of the program."""
        return call(self.world.url, method, path, bearer=self.bearer(), **request)

    def token(self, **query: str) -> Answer:
        """The program asks for an access token of the linked account."""
        return self.call("GET", f"{API}/{OTHER}/token" + ("?" + urlencode(query) if query else ""))

    def authorization(self) -> dict[str, Any]:
        """What the store lists about the token provider."""
        [item] = self.call("GET", f"{API}/authorizations").json()
        return dict(item)


@contextmanager
def running_world(home: Path) -> Iterator[World]:
    """Store and providers for as long as the context, or this process, lives; `home` is an empty folder."""
    address = Address()
    url, database_url = address.url, f"sqlite:///{home / 'store.sqlite'}"
    with (
        running_oidc_provider(_login_clients(url), home / "login.log", resources=_resources(url)) as login,
        running_oidc_provider([_token_client(url)], home / "other.log") as other,
    ):
        settings = {**own_settings(url, database_url), **_settings(url, login, other)}
        with running_store(address, settings, home, workers=2) as process:
            yield World(url, database_url, process.log, login, other)


def _login_clients(url: str) -> list[RegisteredClient]:
    store = {
        "redirect_uris": [f"{url}/api/oidc/redirect_uri"],
        "post_logout_redirect_uris": [f"{url}/"],
        "backchannel_logout_uri": f"{url}/api/oidc/backchannel_logout",
        "backchannel_logout_session_required": True,
    }
    # The address is never visited: the tests read the code from the redirect.
    program = {"redirect_uris": ["http://127.0.0.1/callback"]}
    return [RegisteredClient(STORE, _secret(), store), RegisteredClient(PROGRAM, None, program)]


def _token_client(url: str) -> RegisteredClient:
    metadata = {
        "redirect_uris": [f"{url}{API}/{OTHER}/redirect_uri"],
        "grant_types": ["authorization_code", "refresh_token"],
        "id_token_signed_response_alg": "ES256",
    }
    return RegisteredClient(STORE, _secret(), metadata)


def _resources(url: str) -> dict[str, str]:
    """The store's API under two names, one for each format of access tokens."""
    return {url: "jwt", f"{url}/opaque": "opaque"}


def _secret() -> str:
    """A secret with everything in it that the encoding of RFC 6749 section 2.3.1 is there for."""
    return f"a+b c%20/:&={secrets.token_urlsafe(24)}"


def _settings(url: str, login: OidcProvider, other: OidcProvider) -> Mapping[str, object]:
    return {
        "OIDC_DISCOVERY_URL": login.discovery_url,
        "OIDC_CLIENT_ID": STORE,
        "OIDC_CLIENT_SECRET": str(login.clients[STORE].secret),
        "OIDC_AUDIENCE": list(_resources(url)),
        "OIDC_INTROSPECTION": True,
        "OIDC_AUTHORIZED_PARTIES": [PROGRAM],
        "TOKEN_PROVIDERS": [OTHER],
        "OTHER_DISCOVERY_URL": other.discovery_url,
        "OTHER_CLIENT_ID": STORE,
        "OTHER_CLIENT_SECRET": str(other.clients[STORE].secret),
        "OTHER_SCOPE": "openid profile email offline_access",
    }

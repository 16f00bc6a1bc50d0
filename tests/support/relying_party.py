"""A bare OAuth client for tests of the demo providers: it does what it is told, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from demo.config import Account, Client, ProviderConfig, Rotation
from demo.person import Person
from demo.server import RunningProvider

CALLBACK = "http://127.0.0.1:9/callback"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered; `fields` reads JSON and forms alike."""

    status: int
    headers: Message
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        if "json" in self.headers.get("Content-Type", ""):
            fields = json.loads(self.body)
            if not isinstance(fields, dict):
                raise TypeError("not an object")
            return fields
        return dict(parse_qsl(self.body.decode()))


@dataclass
class RelyingParty:
    """One client of one provider, and the person who uses it."""

    provider: RunningProvider
    scope: str = "openid email profile offline_access"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def client(self) -> Client:
        return self.provider.config.clients[0]

    @property
    def account(self) -> Account:
        return self.provider.config.accounts[0]

    @property
    def person(self) -> Person:
        return Person(self.account)

    def authorization_url(self, **changes: str | None) -> str:
        """The right authorization URL with some parameters changed, None leaving one out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uris[0],
            "scope": self.scope,
            "state": "the-state",
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.provider.issuer}/authorize?{urlencode(given)}"

    def callback(self, **changes: str | None) -> dict[str, str]:
        """The parameters with which the person comes back after allowing everything."""
        return query_of(self.person.approve(self.authorization_url(**changes)))

    def code(self) -> str:
        return self.callback()["code"]

    def exchange(self, code: str, **changes: str) -> Answer:
        return self.post(
            "/token",
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.client.redirect_uris[0],
            **{"code_verifier": self.verifier, **changes},
        )

    def link(self) -> dict[str, Any]:
        """The token set of a fresh grant."""
        answer = self.exchange(self.code())
        if answer.status != 200:
            raise AssertionError(f"no token set: {answer.fields}")
        return answer.fields

    def refresh(self, refresh_token: str, **changes: str) -> Answer:
        return self.post("/token", grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def revoke(self, token: str) -> Answer:
        return self.post("/revoke", token=token)

    def userinfo(self, access_token: str, path: str = "/userinfo") -> Answer:
        return self.send("GET", path, headers={"Authorization": f"Bearer {access_token}"})

    def post(self, path: str, **form: str) -> Answer:
        """A form with the client's credentials in the Authorization header (RFC 6749 section 2.3.1)."""
        pair = f"{quote(self.client.client_id)}:{quote(self.client.client_secret)}"
        basic = base64.b64encode(pair.encode()).decode()
        return self.send("POST", path, form, {"Authorization": f"Basic {basic}", "Accept": "application/json"})

    def send(
        self, method: str, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.provider.issuer).netloc, timeout=20)
        body = None if form is None else urlencode(form)
        kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, body, {**kind, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def demo_config(name: str = "Strict", *, rotation: Rotation = "strict", **changes: Any) -> ProviderConfig:
    """A provider with one client, `store`, and two accounts, `alice` and `bob`."""
    accounts = (Account.named("alice"), Account.named("bob"))
    return ProviderConfig(
        name, clients=(Client("store", (CALLBACK,)),), accounts=accounts, rotation=rotation, **changes
    )


def query_of(url: str) -> dict[str, str]:
    """The query parameters of a URL. Raises AssertionError if one comes twice."""
    values = parse_qs(urlsplit(url).query, strict_parsing=True)
    if any(len(value) != 1 for value in values.values()):
        raise AssertionError("a parameter comes twice")
    return {name: value[0] for name, value in values.items()}

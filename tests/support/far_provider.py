"""A demo provider in a process of its own, arranged and looked at over its control endpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.client import call
from demo.config import Revocation, Rotation
from demo.knobs import Fault, FaultValue

PROJECT = Path(__file__).resolve().parents[2]
SCOPE = "openid email offline_access"
_LIFETIME = 2 * 3600


@dataclass(frozen=True, slots=True)
class FarGrant:
    """What somebody allowed at a far provider: the account's subject and the refresh token that came of it."""

    subject: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class FarProvider:
    """A running provider. Without arguments to the contrary every fault strikes at the token endpoint."""

    issuer: str
    client_id: str
    client_secret: str
    control_key: str
    rotation: Rotation
    grace: float

    def settings(self, provider_id: str) -> dict[str, object]:
        """The store's settings for it."""
        rows: dict[str, object] = {
            "DISCOVERY_URL": f"{self.issuer}/.well-known/openid-configuration",
            "CLIENT_ID": self.client_id,
            "CLIENT_SECRET": self.client_secret,
            "ROTATION": f"grace({self.grace:.0f})" if self.rotation == "grace" else self.rotation,
        }
        return {f"{provider_id.upper()}_{name}": value for name, value in rows.items()}

    def set(
        self,
        fault: Fault,
        value: FaultValue = True,
        *,
        times: int | None = None,
        fail_at: Iterable[str] | None = None,
    ) -> None:
        """Turn a fault on, as `Knobs.set` does."""
        self._order(fault=fault, value=value, times=times, fail_at=None if fail_at is None else list(fail_at))

    def clear(self) -> None:
        """Turn every fault off."""
        self._order(clear=True)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass there at once."""
        self._order(advance=seconds)

    def grant(self, count: int, scope: str = SCOPE) -> list[FarGrant]:
        """New people who allowed the store its scope."""
        return [FarGrant(*one) for one in self._order(grant=count, scope=scope)["granted"]]

    def grant_again(self, subject: str, scope: str = SCOPE) -> FarGrant:
        """Somebody allows the store its scope once more."""
        return FarGrant(*self._order(again=[subject], scope=scope)["granted"][0])

    def families(self, subjects: Iterable[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The grants of each of these, oldest first: `revoked`, `reuses`, `live`."""
        found: Mapping[str, Sequence[Mapping[str, Any]]] = self._order(families=list(subjects))["families"]
        return found

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call from this number on, in the order of arrival."""
        answer = call(self.issuer, "GET", f"/_control?since={since}", headers={"X-Control-Key": self.control_key})
        found: list[dict[str, Any]] = answer.json()["calls"]
        return found

    def refreshes(self, since: int = 0) -> list[dict[str, Any]]:
        """The refresh requests among the calls from this number on."""
        return [one for one in self.calls(since) if one["grant_type"] == "refresh_token"]

    def _order(self, **order: object) -> dict[str, Any]:
        headers = {"X-Control-Key": self.control_key}
        answer = call(self.issuer, "POST", "/_control?since=1000000000", headers=headers, json_body=order)
        if answer.status != 200:
            raise RuntimeError(f"the provider refused an order: {answer.status} {answer.text}")
        told: dict[str, Any] = answer.json()
        return told


@contextmanager
def far_provider(
    *, rotation: Rotation = "strict", grace: float = 30, revocation: Revocation = "grant"
) -> Iterator[FarProvider]:
    """A provider for as long as the context, or this process, lives."""
    command = [
        *(sys.executable, "-m", "demo.provider", "--rotation", rotation, "--grace", str(grace)),
        *("--revocation", revocation),
        *("--redirect-uri", "http://127.0.0.1/redirect_uri", "--lifetime", str(_LIFETIME)),
    ]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            known = {name: told[name] for name in ("issuer", "client_id", "client_secret", "control_key")}
            yield FarProvider(**known, rotation=rotation, grace=grace)
        finally:
            process.terminate()
